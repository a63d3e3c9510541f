"""What the GPU's measurement takes away is really away, and its rows are what the file holds. Nothing is timed here."""

import contextlib
import types

import pytest
import torch
from helpers import make_net

import utils
from experiments import floor, gpu
from experiments import timing as bench
from training import cuda


def speed_ups(monkeypatch):
    """Return which speed-ups are there now: a set of the names that `gpu.WITHOUT` has for them."""
    found = set()
    trainer = types.SimpleNamespace(rows=types.SimpleNamespace(device=torch.device("cuda")), step="as it is")
    monkeypatch.setattr(cuda, "RecordedStep", lambda trainer: found.add("RecordedStep"))
    cuda.fast_step(trainer)
    net = make_net().train()
    cuda.speed_up_layers(net)
    multiply, flags = torch.bmm, contextlib.nullcontext
    monkeypatch.setattr(torch, "bmm", lambda *a: found.add("multiply_channels") or multiply(*a))
    monkeypatch.setattr(torch.backends.cudnn, "flags", lambda enabled: found.add("normalize_channels_last") or flags())
    net(torch.randn(64, 1, 28, 28))
    return found


@pytest.mark.parametrize("without", gpu.WITHOUT)
def test_what_is_taken_away_is_away_and_nothing_else(monkeypatch, without):
    with bench.patched(gpu.WITHOUT[without]):
        assert speed_ups(monkeypatch) == set(gpu.WITHOUT) - {gpu.FULL, without}


def test_a_row_is_a_figure_of_what_is_taken_away(small, monkeypatch):
    for name, value in {"TURNS": 2, "WARM_UP": 1, "STEPS": 2}.items():
        monkeypatch.setattr(gpu, name, value)
    monkeypatch.setattr(gpu, "profile", lambda trainer: (270.0, 1.5))
    monkeypatch.setattr(floor, "operations_a_second", lambda size, device: 1e12)
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: None)
    rows = gpu.measure(utils.Split(*(part.cpu() for part in small[0])))
    told = {(row["without"], row["metric"]): row for row in rows}
    assert {key for key in told if key[1] in {"step_ms", "ratio"}} == {
        (without, metric) for without in gpu.WITHOUT for metric in ("step_ms", "ratio")
    }
    assert all(float(row["minimum"]) > 0 for row in rows)
    assert told["nothing", "ratio"]["median"] == "1"
    assert (told["nothing", "ratio"]["turns"], told["nothing", "kernels"]["turns"]) == (2, 1)
    assert (told["nothing", "kernels"]["median"], told["nothing", "busy_ms"]["median"]) == ("270", "1.5")
    assert told["nothing", "floor_ms"]["median"] == "0.6823"  # 682.3 million operations at a billion a millisecond


def test_where_there_is_no_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA GPU here"):
        gpu.main()
