"""speedups.py: every speed-up can be switched off. Nothing is timed here."""

import pytest
import torch

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
