"""What makes a step fast on the CPU changes no result, and is left out where the system does not allow it."""

import copy
import platform
import subprocess
import sys
import types

import pytest
import torch
from shared import ROOT, make_net

import utils
from training.cpu import keep_freed_memory, spread_narrow_batchnorm

pytestmark = pytest.mark.numbers


def gradients(model, images):
    model.zero_grad()
    logits = model(images)
    (logits * torch.arange(10)).square().mean().backward()
    return [logits.detach(), *[p.grad.clone() for p in model.parameters()]]


def test_spread_batchnorm_computes_the_same():
    """In float64, where nothing hides behind rounding: logits, every gradient and the statistics."""
    plain = make_net().double().to(memory_format=torch.channels_last)
    spread = copy.deepcopy(plain)
    spread_narrow_batchnorm(spread)
    images = torch.randn(32, 1, 28, 28, dtype=torch.float64)
    for mode in (True, False):
        plain.train(mode)
        spread.train(mode)
        for ours, expected in zip(gradients(spread, images), gradients(plain, images), strict=True):
            torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-8)
    for ours, expected in zip(spread.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-10, rtol=1e-8)


def test_spread_batchnorm_touches_narrow_layers_in_training_only():
    model = make_net()
    spread_narrow_batchnorm(model)
    hooked = [m for m in model.modules() if m._forward_hooks]
    assert [layer.num_features for layer in hooked] == [8, 8, 8, 10]
    interleaved = torch.randn(4, 8, 5, 5).to(memory_format=torch.channels_last)
    seen = []
    hooked[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].is_contiguous()))
    for mode in (True, False):
        hooked[0].train(mode)
        assert hooked[0](interleaved.requires_grad_()).is_contiguous(memory_format=torch.channels_last)
    assert seen == [True, False]


FAULTS = """
import resource, sys, torch
from training.cpu import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def faults_of_ten_steps():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        [torch.ones(10_000_000) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults_of_ten_steps()  # the heap finds its size
print(faults_of_ten_steps())
"""


def keeps_large_blocks():
    """Return whether this is a glibc that keeps blocks of more than 32 MiB: 2.35 or newer."""
    name, version = platform.libc_ver()
    return name == "glibc" and [int(part) for part in version.split(".")[:2]] >= [2, 35]


@pytest.mark.skipif(not keeps_large_blocks(), reason="needs glibc 2.35")
def test_kept_memory_is_not_faulted_in_again():
    """Blocks of 40 MB: glibc's own threshold adapts itself to blocks of up to 32 MB, and to no larger ones."""
    command = [sys.executable, "-c", FAULTS]
    kept, returned = (
        int(subprocess.run([*command, how], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for how in ("keep", "return")
    )
    assert returned > 1000
    assert kept < returned / 10


MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1


@pytest.mark.parametrize(
    ("largest", "thresholds", "trims"),
    [(1 << 30, [1 << 30], 1), (1 << 25, [1 << 30, 1 << 25], 1), (0, [1 << 30, 1 << 25], 0)],
    ids=["a new glibc", "an old glibc", "no glibc"],
)
def test_memory_is_kept_as_far_as_the_allocator_allows(monkeypatch, largest, thresholds, trims):
    """Where it refuses every threshold, nothing is set: half of it would freeze the other half where it starts."""
    asked = []

    def mallopt(parameter, value):
        asked.append((parameter, value))
        return int(parameter == TRIM_THRESHOLD or value <= largest)

    monkeypatch.setattr("ctypes.CDLL", lambda name: types.SimpleNamespace(mallopt=mallopt))
    keep_freed_memory.__wrapped__()
    assert asked == [(MMAP_THRESHOLD, value) for value in thresholds] + [(TRIM_THRESHOLD, (1 << 31) - 1)] * trims


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_without_glibc_training_goes_on(monkeypatch, small, error):
    def fail(name):
        raise error(name)

    monkeypatch.setattr("ctypes.CDLL", fail)
    keep_freed_memory.cache_clear()
    assert len(utils.fit(make_net(), *small, epochs=1)) == 1
