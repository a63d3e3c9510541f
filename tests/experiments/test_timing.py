"""timing.py: child processes, their arithmetic, files, and the recipe that is timed."""

import inspect

import pytest
import torch
from helpers import ROOT, make_net

import utils
from experiments import timing
from training.state import TrainState


def test_interleave_alternates():
    asked = []

    def measure(variant, number):
        asked.append((variant, number))
        return {"step_ms": len(asked)}

    figures = timing.interleave("AB", 2, measure)
    assert asked == [("A", 1), ("B", 1), ("A", 2), ("B", 2)]
    assert figures == {"A": [{"step_ms": 1}, {"step_ms": 3}], "B": [{"step_ms": 2}, {"step_ms": 4}]}


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module `timed` of the given source, for child processes to run."""
    monkeypatch.setattr(timing, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return (tmp_path / "timed.py").write_text


def test_run_in_subprocess_returns_the_last_line(module):
    module("import json, sys\nprint('noise')\nprint(json.dumps(sys.argv[1:]))\n")
    assert timing.run_in_subprocess("timed", "--images", 7) == ["--images", "7"]


def test_seconds_since_start_include_the_interpreter_and_imports(module):
    module(
        "import time\nstart = time.time()\nfrom experiments import timing\n"
        "print([timing.seconds_since_start(), time.time() - start])\n"
    )
    whole, without_interpreter = timing.run_in_subprocess("timed")
    assert 0 < without_interpreter < whole


def test_run_in_subprocess_reports_the_error(module):
    module("raise MemoryError('no more')\n")
    with pytest.raises(SystemExit, match=r"-m timed failed:(.|\n)*MemoryError: no more"):
        timing.run_in_subprocess("timed")


def test_summary_and_ratios():
    assert timing.summary([80.0, 120.0, 90.0]) == {
        "median": "90",
        "minimum": "80",
        "maximum": "120",
        "repetitions": 3,
        "values": "80 120 90",
    }
    figures = {"slow": [{"ms": 80.0}, {"ms": 120.0}], "ours": [{"ms": 40.0}, {"ms": 30.0}]}
    assert timing.ratios(figures, "ms", "ours") == {"slow": [2.0, 4.0], "ours": [1.0, 1.0]}


def test_replace_rows_keeps_other_devices(tmp_path):
    path = tmp_path / "times.csv"
    for device, ms in (("cpu Ümlaut, 2 GHz", "1.5"), ("cuda", "3"), ("cpu Ümlaut, 2 GHz", "2")):
        timing.replace_rows(path, [{"device": device, "step_ms": ms}])
    assert {row["device"]: row["step_ms"] for row in timing.read(path)} == {"cpu Ümlaut, 2 GHz": "2", "cuda": "3"}
    assert b"\r" not in path.read_bytes()


def test_make_state_follows_the_recipe_of_fit(small, monkeypatch):
    """`fit` with its defaults and `make_state` ask for the same `TrainState`."""
    asked = []

    def record(*values, **named):
        asked.append(inspect.signature(TrainState).bind(*values, **named).arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "TrainState", record)
    monkeypatch.setattr(timing, "TrainState", record)
    for ask in (
        lambda: utils.fit(make_net(), *small, verbose=False),
        lambda: timing.make_state(make_net(), small[0], steps=150),
    ):
        with pytest.raises(KeyboardInterrupt):
            ask()
    by_fit, timed = asked
    assert torch.equal(by_fit.pop("lr_multipliers"), timed.pop("lr_multipliers"))
    for name in ("batch_size", "make_optimizers", "lr", "ema_decay", "train"):
        assert by_fit[name] is timed[name] or by_fit[name] == timed[name], name
