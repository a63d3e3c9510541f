"""speedups.py: every speed-up can be switched off, and what is counted of a step is right. Nothing is timed here."""

import pytest
import torch
from helpers import make_net
from torch.utils.flop_counter import FlopCounterMode

import utils
from experiments import speedups
from training.speedups import ALL


def test_every_speedup_is_switched_off_once():
    for without in speedups.WITHOUT.values():
        assert without[speedups.FULL] == set()
        assert all(name in off for name, off in without.items() if name != speedups.FULL)
    assert {name for without in speedups.WITHOUT.values() for name in without} == ALL | {speedups.FULL}


@pytest.mark.parametrize("without", speedups.WITHOUT["cpu"])
def test_time_steps_without_each_speedup(small, monkeypatch, without):
    pytest.importorskip("resource", reason="Windows counts no page faults")
    on_cpu = utils.Split(*(part.cpu() for part in small[0]))
    monkeypatch.setattr(utils, "load_mnist", lambda *_: (on_cpu, None))
    monkeypatch.setattr(utils, "pick_device", lambda: torch.device("cpu"))
    monkeypatch.setattr(speedups, "WARM_UP", 2)
    monkeypatch.setattr(speedups, "STEPS", 3)
    figures = speedups.time_steps(without)
    assert figures["step_ms"] > 0
    assert figures["page_faults"] >= 0


def test_profile_finds_every_kind_of_layer(small, monkeypatch):
    on_cpu = utils.Split(*(part.cpu() for part in small[0]))
    monkeypatch.setattr(utils, "load_mnist", lambda *_: (on_cpu, None))
    monkeypatch.setattr(speedups, "WARM_UP", 1)
    found = speedups.profile(torch.device("cpu"))
    assert all(0 < percent < 100 for percent in found.values())
    assert sum(found.values()) < 100


def test_count_operations_of_one_step():
    """Three times the forward pass as torch counts it, but for the gradient of the input images."""
    model, images = make_net(), torch.zeros(128, 1, 28, 28)
    with FlopCounterMode(display=False) as counter:
        model(images)
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        next(layer for layer in model.modules() if isinstance(layer, torch.nn.Conv2d))(images)
    assert speedups.count_operations() == 3 * forward - counter.get_total_flops()
