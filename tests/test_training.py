"""One step, one epoch, a whole run: what they change, what they return and what they print."""

import contextlib
import copy
import math
import platform
import re
import subprocess
import sys
import types

import pytest
import torch
import torch.nn.functional as F
from conftest import ROOT

import utils
from model import Net

pytestmark = pytest.mark.numbers

RECIPE = {"batch_size": 128, "optimizers": utils.muon_and_adamw, "lr": 0.05, "averaging": 0.9}

BAR = (
    r"Loss=\d+\.\d+(e-\d+)? Batch_id=9 Accuracy=\d+\.\d\d: 100%\|██████████\| 10/10 "
    r"\[\d\d:\d\d<\d\d:\d\d, +(\d+\.\d\d|\?)(it/s|s/it)\]"
)
TEST_LINE = r"Test set: Average loss: \d+\.\d{4}, Accuracy: \d+/500 \(\d+\.\d\d%\)"


def make_net(seed=0):
    torch.manual_seed(seed)
    return Net()


def make_trainer(split, steps=20, **recipe):
    trainer = utils.Trainer(make_net(), split, utils.one_cycle(steps), **(RECIPE | recipe))
    trainer.rows.copy_(torch.arange(128))
    trainer.affines.copy_(utils.random_affines(len(split.labels), strength=0))
    trainer.lr.copy_(trainer.rates.max(dim=0).values)
    return trainer


@pytest.fixture(scope="module")
def run(small):
    """Two epochs on the small splits: the model and its history."""
    model = make_net()
    return model, utils.fit(model, *small, epochs=2)


# --- The learning rate and the order of images ---


def test_one_cycle_rises_to_one_and_falls_to_zero():
    shares = utils.one_cycle(1000, warmup=0.2)
    top = shares.argmax().item()
    assert shares.shape == (1000,)
    assert top == pytest.approx(200, abs=1)
    assert shares[top].item() == pytest.approx(1, rel=1e-4)
    assert (shares[: top + 1].diff() > 0).all()
    assert (shares[top:].diff() <= 0).all()
    assert shares[0] == pytest.approx(1 / 200)
    assert shares[-1] == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize(("n", "batch_size"), [(60_000, 128), (1280, 128), (5, 4), (3, 8), (1, 1)])
def test_an_epoch_shows_every_image_in_full_batches(n, batch_size):
    order = utils.shuffled_batches(n, batch_size, torch.Generator().manual_seed(0))
    assert order.shape == (math.ceil(n / batch_size), batch_size)
    assert order.flatten()[:n].sort().values.tolist() == list(range(n))
    assert torch.equal(order.flatten()[n:], order.flatten().repeat(8)[: order.numel() - n])


def test_order_is_shuffled_and_decided_by_the_seed():
    orders = [utils.shuffled_batches(1280, 128, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0].flatten(), torch.arange(1280))


# --- One step ---


def test_steps_lower_the_loss(small):
    trainer = make_trainer(small[0])
    losses = []
    for _ in range(20):
        trainer.run_step()
        losses.append(trainer.losses[0].item())
    assert losses[0] == pytest.approx(math.log(10), abs=0.3)
    assert losses[-1] < losses[0] / 2


def test_a_model_in_evaluation_mode_is_trained_all_the_same(small):
    model = make_net().eval()
    trainer = utils.Trainer(model, small[0], utils.one_cycle(1), **RECIPE)
    statistics = trainer.model.edges[2].running_mean.clone()
    trainer.run_step()
    assert not torch.equal(trainer.model.edges[2].running_mean, statistics)
    assert not model.training


def test_a_step_moves_every_parameter(small):
    trainer = make_trainer(small[0])
    before = copy.deepcopy(dict(trainer.model.named_parameters()))
    trainer.run_step()
    assert [name for name, p in trainer.model.named_parameters() if torch.equal(p, before[name])] == []


def sgd(model, lr):
    return [torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=0.01)]


@pytest.mark.parametrize("optimizers", [sgd, utils.muon_and_adamw])
def test_steps_are_those_of_a_plain_loop(small, device, optimizers, threads):
    """With the learning rates given to the optimizers as numbers, not as tensors on the device.

    With two threads both have the same layout of BatchNorm, since another one rounds otherwise, and three steps at
    these rates from random weights turn 1e-5 into 1e-2. That both layouts compute the same is shown in float64 below.
    """
    split = small[0]
    trainer = make_trainer(split, optimizers=optimizers)
    plain = make_net().to(device, memory_format=trainer.layout)
    if device.type == "cpu" and threads > 1:
        utils.spread_narrow_batchnorm(plain)
    images = utils.normalize(utils.warp(split.images[:128], trainer.affines[:128]))
    own = optimizers(plain, 0.05)
    groups = [group for optimizer in own for group in optimizer.param_groups]
    peaks = torch.tensor([group["lr"] for group in groups])
    for share in (0.2, 1.0, 0.5):
        trainer.lr.copy_(share * peaks)
        trainer.run_step()
        for group, rate in zip(groups, (share * peaks).tolist(), strict=True):
            group["lr"] = rate
        plain.zero_grad()
        loss = F.cross_entropy(plain(images), split.labels[:128])
        loss.backward()
        for optimizer in own:
            optimizer.step()
        torch.testing.assert_close(trainer.losses[0], loss.detach())
    for ours, expected in zip(trainer.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


# --- The optimizers ---


def test_orthogonalized_singular_values_are_about_one():
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 9), (16, 144), (32, 16), (10, 10), (1, 3)]
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    for before, after in zip(matrices, utils.orthogonalize(matrices), strict=True):
        assert after.shape == before.shape
        left, values, right = torch.linalg.svd(before, full_matrices=False)
        assert ((torch.linalg.svdvals(after) - 1).abs() < 0.4)[values > 0.1].all()
        directions = left.T @ after @ right.T  # diagonal where the singular vectors have stayed
        assert (directions - directions.diag().diag()).abs().max() < 1e-3


def test_orthogonalizing_does_not_depend_on_scale_or_company():
    generator = torch.Generator().manual_seed(0)
    one, other = torch.randn(8, 72, generator=generator), torch.randn(32, 16, generator=generator)
    (alone,) = utils.orthogonalize([one])
    torch.testing.assert_close(utils.orthogonalize([one * 1000, other])[0], alone, atol=1e-4, rtol=1e-4)


def test_orthogonalizing_nothing_gives_nothing():
    """As where a layer got no gradient: no division by zero."""
    assert utils.orthogonalize([torch.zeros(4, 4)])[0].abs().max() == 0


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="needs torch 2.9")
def test_muon_agrees_with_torch():
    """On matrices, where torch has it too, within what its bfloat16 allows: three steps, same gradients."""
    generator = torch.Generator().manual_seed(0)
    for shape in ((8, 72), (32, 16)):
        start = torch.randn(shape, generator=generator)
        ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
        optimizers = [utils.Muon([ours], 0.1), torch.optim.Muon([theirs], 0.1, weight_decay=0, momentum=0.9)]
        for _ in range(3):
            ours.grad = theirs.grad = torch.randn(shape, generator=generator)
            for optimizer in optimizers:
                optimizer.step()
        moved, expected = ours.detach() - start, theirs.detach() - start
        assert (moved - expected).norm() < 0.05 * expected.norm()


def test_each_parameter_has_one_optimizer():
    model = make_net()
    muon, adamw = ([p for group in o.param_groups for p in group["params"]] for o in utils.muon_and_adamw(model, 0.15))
    assert len(muon) == 10
    assert all(p.ndim == 4 and p.shape[0] > 1 for p in muon)
    assert {id(p) for p in muon}.isdisjoint(id(p) for p in adamw)
    assert {id(p) for p in [*muon, *adamw]} == {id(p) for p in model.parameters()}
    assert {p.shape[1] for p in adamw if p.ndim == 4} == {1}


@pytest.mark.parametrize(
    ("layers", "kinds"),
    [
        ([torch.nn.Linear(784, 10)], ["Muon", "AdamW"]),
        ([torch.nn.Linear(784, 10, bias=False)], ["Muon"]),
        ([torch.nn.BatchNorm1d(784), torch.nn.AdaptiveAvgPool1d(10)], ["AdamW"]),
        ([torch.nn.Unflatten(1, (1, 28, 28)), torch.nn.BatchNorm2d(1), torch.nn.Conv2d(1, 10, 28)], ["Muon", "AdamW"]),
    ],
)
def test_other_models_train_too(small, layers, kinds, threads):
    layers = [*copy.deepcopy(layers), torch.nn.Flatten()]
    model = torch.nn.Sequential(torch.nn.Flatten(), *layers)
    assert [type(optimizer).__name__ for optimizer in utils.muon_and_adamw(model, 0.1)] == kinds
    before = [p.clone() for p in model.parameters()]
    utils.fit(model, *small, epochs=1)
    assert not any(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_adamw_gets_a_fifteenth_of_the_rate():
    muon, adamw = utils.muon_and_adamw(make_net(), 0.3)
    assert muon.param_groups[0]["lr"] == 0.3
    assert adamw.param_groups[0]["lr"] == pytest.approx(0.02)


def test_the_average_is_a_running_mean_of_weights_and_statistics(small):
    trainer = make_trainer(small[0])
    expected = [tensor.detach().clone() for tensor in utils.floats(trainer.model)]
    for _ in range(3):
        trainer.blend.fill_(0.25)
        trainer.run_step()
        expected = [0.75 * e + 0.25 * t.detach() for e, t in zip(expected, utils.floats(trainer.model), strict=True)]
    for average, value in zip(utils.floats(trainer.averaged), expected, strict=True):
        torch.testing.assert_close(average, value)


def test_the_average_warms_up(small):
    blends = make_trainer(small[0], steps=1000, averaging=0.99).blends
    assert blends[0].item() == pytest.approx(0.9)
    assert blends[-1].item() == pytest.approx(0.01)
    assert (blends.diff() <= 0).all()


def test_floats_are_parameters_and_batchnorm_statistics():
    tensors = utils.floats(make_net())
    assert sum(t.numel() for t in tensors) == 6456 + 2 * (8 + 8 + 16 + 16 + 8 + 16 + 16 + 32 + 10)
    assert all(t.dtype == torch.float32 for t in tensors)


def test_recording_leaves_no_trace(small, monkeypatch):
    """With stand-ins for CUDA's streams and graphs: what recording's own steps changed is put back before training."""

    class Graph:
        def replay(self):
            recorded.step()

    stream = types.SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", lambda _: contextlib.nullcontext())
    recorded, plain = make_trainer(small[0]), make_trainer(small[0])
    replay = recorded.record_step()
    for trainer, step in ((recorded, replay), (plain, plain.step)):
        order = utils.shuffled_batches(1280, 128, torch.Generator().manual_seed(0))
        trainer.run_step = step
        assert list(trainer.epoch(0, order, trainer.affines.clone())) == list(range(1, 11))
    for part in ("model", "averaged"):
        ours, expected = (getattr(trainer, part).state_dict() for trainer in (recorded, plain))
        assert [name for name in expected if not torch.equal(ours[name], expected[name])] == []
    assert torch.equal(recorded.losses, plain.losses)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_recorded_step_is_the_plain_step(small):
    recorded, plain = make_trainer(small[0]), make_trainer(small[0])
    for _ in range(5):
        recorded.run_step()
        plain.step()
    for ours, expected in zip(utils.floats(recorded.averaged), utils.floats(plain.averaged), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_an_epoch_never_waits_for_the_gpu(small):
    trainer = make_trainer(small[0])
    order = utils.shuffled_batches(1280, 128).to(trainer.rows.device)
    affines = trainer.affines.clone()
    torch.cuda.set_sync_debug_mode("error")
    try:
        assert list(trainer.epoch(0, order, affines)) == list(range(1, 11))
    finally:
        torch.cuda.set_sync_debug_mode("default")


# --- Speed on the CPU ---


def gradients(model, images):
    model.zero_grad()
    logits = model(images)
    (logits * torch.arange(10)).square().mean().backward()
    return [logits.detach(), *[p.grad.clone() for p in model.parameters()]]


def test_spread_batchnorm_computes_the_same():
    """In float64, where nothing hides behind rounding: logits, every gradient and the statistics."""
    plain = make_net().double().to(memory_format=torch.channels_last)
    spread = copy.deepcopy(plain)
    utils.spread_narrow_batchnorm(spread)
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
    utils.spread_narrow_batchnorm(model)
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
import resource, sys, torch, utils
if sys.argv[1] == "keep":
    utils.keep_freed_memory()
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
    utils.keep_freed_memory.__wrapped__()
    assert asked == [(MMAP_THRESHOLD, value) for value in thresholds] + [(TRIM_THRESHOLD, (1 << 31) - 1)] * trims


@pytest.mark.parametrize("error", [OSError, AttributeError])
def test_without_glibc_training_goes_on(monkeypatch, small, error):
    def fail(name):
        raise error(name)

    monkeypatch.setattr("ctypes.CDLL", fail)
    utils.keep_freed_memory.cache_clear()
    assert len(utils.fit(make_net(), *small, epochs=1)) == 1


# --- Evaluation ---


def test_evaluation_equals_a_plain_loop(small, device):
    _, test = small
    model = make_net().to(device)
    loss, accuracy = utils.evaluate(model, test)
    model.eval()
    losses, correct = [], 0
    with torch.no_grad():
        for image, label in zip(test.images, test.labels, strict=True):
            logits = model(utils.normalize(image[None]))
            losses.append(F.cross_entropy(logits, label[None]).item())
            correct += int(logits.argmax() == label)
    assert loss == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert accuracy == pytest.approx(correct / len(losses))


def test_evaluation_changes_nothing_and_tracks_no_gradient(small, device):
    model = make_net().to(device).train()
    before = copy.deepcopy(model.state_dict())
    logits = utils.compute_logits(model, small[1].images)
    assert model.training
    assert not logits.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# --- A whole run ---


def test_history_has_a_row_an_epoch(run):
    _, history = run
    assert [row["epoch"] for row in history] == [1, 2]
    for row in history:
        assert set(row) == {"epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"}
        assert 0 <= row["train_accuracy"] <= 1
        assert 0 <= row["test_accuracy"] <= 1
        assert row["train_loss"] > 0
        assert row["seconds"] > 0


def test_the_model_ends_as_what_was_evaluated_last(run, small):
    model, history = run
    assert utils.evaluate(model, small[1]) == (history[-1]["test_loss"], history[-1]["test_accuracy"])


def test_log_has_the_form_of_the_reference(small, capsys):
    utils.fit(make_net(), *small, epochs=2)
    printed = capsys.readouterr()
    lines = [line.rsplit("\r", 1)[-1] for line in printed.out.split("\n")]
    assert printed.err == ""
    assert len(lines) == 9
    for epoch, (heading, bar, verdict, blank) in enumerate((lines[:4], lines[4:8]), start=1):
        assert heading == f"EPOCH: {epoch}"
        assert re.fullmatch(BAR, bar.rstrip()), bar
        assert re.fullmatch(TEST_LINE, verdict), verdict
        assert blank == ""


def test_same_seed_same_weights_bit_for_bit(run, small):
    model, history = run
    again = make_net()
    repeated = utils.fit(again, *small, epochs=2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert [row["train_loss"] for row in repeated] == [row["train_loss"] for row in history]


def test_another_seed_gives_other_weights(run, small):
    model, _ = run
    other = make_net()
    utils.fit(other, *small, epochs=2, seed=1)
    assert not torch.equal(next(model.parameters()), next(other.parameters()))


def test_averaging_nothing_gives_the_weights_being_trained(small):
    extra = {}
    model = make_net()
    utils.fit(model, *small, epochs=1, averaging=0, extra=lambda trainer: extra.update(model=trainer.model) or {})
    for ours, trained in zip(utils.floats(model), utils.floats(extra["model"]), strict=True):
        assert torch.equal(ours, trained)


def test_augmentation_goes_from_its_first_strength_to_its_last(small):
    asked = []

    def augment(n, strength, generator):
        asked.append(strength)
        return utils.random_affines(n, strength, generator=generator)

    utils.fit(make_net(), *small, epochs=3, augment=augment, strength=(2, 1))
    assert asked == [2, 1.5, 1]
    asked.clear()
    utils.fit(make_net(), *small, epochs=1, augment=augment, strength=(2, 1))
    assert asked == [2]


def test_stronger_augmentation_is_harder(small):
    histories = [utils.fit(make_net(), *small, epochs=1, strength=(strength, strength)) for strength in (0, 3)]
    assert histories[0][0]["train_loss"] < histories[1][0]["train_loss"]


def test_extra_entries_join_the_history(small):
    (row,) = utils.fit(make_net(), *small, epochs=1, extra=lambda trainer: {"steps": len(trainer.rates)})
    assert row["steps"] == 10


def test_training_learns(run):
    _, history = run
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert history[1]["train_accuracy"] > 0.5
