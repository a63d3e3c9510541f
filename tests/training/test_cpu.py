"""What makes a step fast on the CPU changes no result, and is left out where the system does not allow it."""

import copy
import os
import platform
import subprocess
import sys
import types
import warnings

import pytest
import torch
from helpers import ROOT, make_net

import utils
from training import cpu
from training.cpu import idle_cores, keep_freed_memory, spread_narrow_batchnorm

pytestmark = pytest.mark.numeric


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


# --- A busy machine: `idle_cores` itself, which no test but these asks ---

# /proc/stat before and after, of a machine of three cores: the first busy for 20 of 25 ticks, the second idle or
# waiting for a disk, the third taken by another guest of the machine for nearly half of the time.
BEFORE = """cpu  600 30 90 9000 60 0 3 30 0 0
cpu0 100 10 30 1000 20 0 1 10 0 0
cpu1 200 10 30 3000 20 0 1 10 0 0
cpu2 300 10 30 5000 20 0 1 10 0 0
intr 1 2 3
ctxt 4
"""
AFTER = """cpu  613 35 92 9041 64 0 3 43 0 0
cpu0 113 15 32 1005 20 0 1 10 0 0
cpu1 200 10 30 3021 24 0 1 10 0 0
cpu2 300 10 30 5013 20 0 1 22 0 0
intr 2 3 4
ctxt 5
"""


class Proc:
    """Stands in for `Path` where /proc/stat is read: `states` one after another; without any, there is no such file."""

    def __init__(self, *states):
        self.states = list(states)

    def __call__(self, path):
        assert path == "/proc/stat"
        return self

    def exists(self):
        return bool(self.states)

    def read_text(self):
        return self.states.pop(0)


@pytest.fixture
def clock(monkeypatch):
    """Processor times of this process, in seconds, as they are asked for one after another; nobody sleeps."""
    times = []
    monkeypatch.setattr(cpu.time, "process_time", lambda: times.pop(0))
    monkeypatch.setattr(cpu.time, "sleep", lambda seconds: None)
    return times


@pytest.mark.parametrize(
    ("mine", "own", "idle"),
    [
        ({0, 1, 2}, 0, 0.2 + 1 + 13 / 25),
        ({0, 1, 2}, 0.1, 0.2 + 1 + 13 / 25 + 0.4),  # of the work seen, this process did some itself
        ({0, 1, 2}, 1, 3),
        ({0}, 0, 0.2),
        ({1}, 0, 1),
        ({1}, 0.25, 1),
        ({0, 7}, 0, 1.2),  # a core that is not told of
    ],
)
def test_idle_cores_are_those_that_linux_counts(monkeypatch, clock, mine, own, idle):
    monkeypatch.setattr(cpu, "Path", Proc(BEFORE, AFTER))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: mine, raising=False)
    clock += [7.0, 7.0 + own]
    assert idle_cores(seconds=0.25) == pytest.approx(idle)


def test_where_linux_counts_nothing_all_cores_are_idle(monkeypatch, clock):
    monkeypatch.setattr(cpu, "Path", Proc(BEFORE, BEFORE))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    clock += [1, 1]
    assert idle_cores() == 2


@pytest.mark.parametrize(
    ("load", "own", "idle"),
    [
        (0.0, 3, 4),
        (2.5, 0, 1.5),
        (2.5, 60, 2.5),  # a minute of processor time: one of the load at most
        (2.5, 6000, 3.5),  # hours: two threads have no part of more than two
        (1.0, 6000, 4),
        (9.0, 6, 0),
    ],
)
def test_elsewhere_idle_cores_are_what_the_load_of_others_leaves(monkeypatch, clock, load, own, idle):
    monkeypatch.setattr(cpu, "Path", Proc())
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 99, 99), raising=False)
    monkeypatch.setattr(os, "process_cpu_count" if hasattr(os, "process_cpu_count") else "cpu_count", lambda: 4)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    clock += [own]
    assert idle_cores() == pytest.approx(idle)


def test_on_windows_nothing_tells(monkeypatch):
    monkeypatch.setattr(cpu, "Path", Proc())
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert idle_cores() is None


def test_this_machine_has_idle_cores_or_none():
    idle = idle_cores(seconds=0.05)
    assert idle is None or idle <= os.cpu_count()


@pytest.mark.parametrize(
    ("idle", "threads", "told"),
    [(2.0, 2, 0), (1.6, 2, 0), (1.4, 2, 1), (0.0, 2, 1), (15.0, 16, 1), (15.0, 8, 0), (0.0, 1, 0), (None, 2, 0)],
)
def test_a_machine_too_busy_for_the_threads_is_told_of_once_a_run(small, monkeypatch, idle, threads, told, capsys):
    monkeypatch.setattr(cpu, "idle_cores", lambda: idle)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        utils.fit(make_net(), *(utils.Split(*(part[:128].cpu() for part in split)) for split in small), epochs=2)
    ours = [warning for warning in caught if "cores are idle" in str(warning.message)]
    assert len(ours) == told
    for warning in ours:
        text = str(warning.message)
        assert text.startswith(f"About {idle:.1f} cores are idle, and torch has {threads} threads")
        assert "OMP_NUM_THREADS=1 before Python starts; one thread rounds differently" in text
        assert "\n" not in text
        assert warning.filename == __file__  # where fit was called
    assert "cores are idle" not in capsys.readouterr().out
    assert torch.get_num_threads() == threads
