"""The speed-ups that are timed by taking them away are really away, each by itself. Nothing is timed here."""

import types

import pytest
import torch
from helpers import make_net

import utils
from experiments import runner as study
from experiments import speedups as tricks
from experiments import timing as bench
from training import cpu


@pytest.fixture
def images(small):
    """A few training images on the CPU, which alone has these speed-ups."""
    return utils.Split(*(part.cpu() for part in small[0]))


@pytest.fixture
def two_threads():
    """Narrow BatchNorm layers are spread from two threads on."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def asked(monkeypatch):
    """What the memory allocator is asked to set, as a list; it answers as glibc would."""
    thresholds = []
    allocator = types.SimpleNamespace(mallopt=lambda *setting: thresholds.append(setting) or 1)
    monkeypatch.setattr("ctypes.CDLL", lambda name: allocator)
    cpu.keep_freed_memory.cache_clear()
    yield thresholds
    cpu.keep_freed_memory.cache_clear()


def speed_ups(split, asked):
    """Return which speed-ups a new trainer uses in two steps: a dictionary from name to whether it does."""
    activations = []
    model = make_net()
    trainer = bench.make_trainer(model, split, steps=10)
    first = next(module for module in trainer.model.modules() if isinstance(module, torch.nn.Conv2d))
    first.register_forward_hook(lambda layer, inputs, output: activations.append(output))
    order = torch.arange(2 * len(trainer.rows)).view(2, -1)
    assert list(trainer.epoch(0, order, utils.random_affines(len(split.labels)))) == [1, 2]
    hooks = sum(len(module._forward_pre_hooks) for module in trainer.model.modules())
    return {
        "keep_freed_memory": bool(asked),
        "spread_narrow_batchnorm": hooks > 0,
        "channels_last": not activations[0].is_contiguous(),
    }


@pytest.mark.parametrize("without", tricks.WITHOUT)
def test_what_is_taken_away_is_away_and_nothing_else(images, two_threads, asked, without):
    away = {tricks.FULL: set(), "channels_last": {"channels_last", "spread_narrow_batchnorm"}}.get(without, {without})
    with bench.patched(tricks.WITHOUT[without]):
        found = speed_ups(images, asked)
    assert {name for name, there in found.items() if not there} == away


def test_afterwards_everything_is_back(images, two_threads, asked):
    for without in tricks.WITHOUT:
        with bench.patched(tricks.WITHOUT[without]):
            pass
    assert all(speed_ups(images, asked).values())


@pytest.mark.parametrize("without", tricks.WITHOUT)
def test_a_turn_measures_a_step(images, monkeypatch, without):
    monkeypatch.setattr(utils, "load_mnist", lambda *_: (images, None))
    monkeypatch.setattr(tricks, "WARM_UP", 2)
    monkeypatch.setattr(tricks, "STEPS", 3)
    pytest.importorskip("resource", reason="Windows counts no page faults")
    figures = tricks.take_turn(without)
    assert figures["step_ms"] > 0
    assert figures["page_faults"] >= 0


def test_the_rows_are_those_of_the_committed_file():
    def turns(*steps):
        return [{"step_ms": step, "page_faults": 1.0} for step in steps]

    figures = {without: turns(40.0, 50.0) for without in tricks.WITHOUT} | {"channels_last": turns(60.0, 50.0)}
    rows = tricks.summarise(figures, torch.device("cpu"))
    assert [list(row) for row in rows] == [list(row) for row in study.read(tricks.CSV)]
    assert [row["without"] for row in rows] == [row["without"] for row in study.read(tricks.CSV)]
    ratio = next(row for row in rows if (row["without"], row["metric"]) == ("channels_last", "ratio"))
    assert (ratio["median"], ratio["minimum"], ratio["maximum"]) == ("1.25", "1", "1.5")
