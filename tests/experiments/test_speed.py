"""speed.py: variants alternate, ratios are within a repetition, and what is timed is the training of `fit`."""

import inspect
import sys
import time

import pandas as pd
import pytest
import torch
from helpers import make_net

import utils
from experiments import results, speed
from training.speedups import ALL
from training.state import TrainState


def test_jobs_alternate_and_ratios_are_within_a_repetition(monkeypatch):
    times, asked = iter([80.0, 40.0, 120.0, 30.0, 90.0, 45.0]), []

    def run(job):
        asked.append((job["variant"], job["seed"]))
        return {"step_ms": next(times)}

    monkeypatch.setattr(speed, "run_in_process", run)
    jobs = [{"variant": "baseline", "workers": 2}, {"variant": "ours"}]
    rows = pd.DataFrame(speed.measure_jobs("steps", jobs, 3))
    assert asked == [("baseline", 0), ("ours", 0), ("baseline", 1), ("ours", 1), ("baseline", 2), ("ours", 2)]
    step, ratio = rows[rows["variant"] == "baseline"].to_dict("records")
    assert (step["median"], step["minimum"], step["maximum"], step["n"]) == (90, 80, 120, 3)
    assert (ratio["metric"], ratio["values"]) == ("ratio", "2 4 2")  # its median is 2; that of the medians, 2.25


def test_a_job_runs_in_a_process_of_its_own():
    assert speed.run_in_process({"variant": "ours", "steps": 1})["step_ms"] > 0
    with pytest.raises(SystemExit, match=r"(.|\n)*failed:(.|\n)*num_workers"):
        speed.run_in_process({"variant": "baseline", "workers": -1, "steps": 1})


@pytest.mark.parametrize("workers", [0, 2])
def test_the_baseline_waits_for_a_part_of_its_step(workers):
    figures = speed.time_steps("baseline", workers, steps=2)
    assert 0 < figures["data_ms"] < figures["step_ms"]


def test_a_run_of_the_baseline_is_evaluated_after_every_epoch(monkeypatch):
    called = []
    for name, value in (("train_epoch", 0.1), ("accuracy", 0.75)):
        monkeypatch.setattr(speed.Baseline, name, lambda self, name=name, value=value: called.append(name) or value)
    assert speed.time_run("baseline-dropout", epochs=2, workers=0)["test_accuracy"] == 75
    assert called == ["train_epoch", "accuracy"] * 2


def test_a_run_of_ours_is_fit_timed_from_the_start_of_the_interpreter(small, few, monkeypatch):
    monkeypatch.setattr(speed, "STARTED", time.time() - 100)
    figures = speed.time_run("ours", epochs=2, seed=3)
    utils.set_seed(3)
    history = utils.fit(speed.Net(), *small, epochs=2, seed=3, verbose=False)
    assert figures["test_accuracy"] == 100 * history[-1]["test_accuracy"]
    assert figures["process_s"] > 100 > figures["fit_s"]


def test_a_timed_step_is_that_of_fit(small, few, monkeypatch):
    """`fit` and `Ours` ask for the same `TrainState`."""
    asked = []

    def record(*values, **named):
        asked.append(inspect.signature(TrainState).bind(*values, **named).arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "TrainState", record)
    monkeypatch.setattr(speed, "TrainState", record)
    for ask in (lambda: utils.fit(make_net(), *small, epochs=2, verbose=False), lambda: speed.Ours(10, set(), 0)):
        with pytest.raises(KeyboardInterrupt):
            ask()
    by_fit, timed = asked
    assert torch.equal(by_fit["lr_multipliers"], timed["lr_multipliers"])
    assert all(by_fit[name] == timed[name] for name in ("batch_size", "make_optimizers", "lr", "ema_decay"))
    assert timed["speedups"] == ALL


def test_every_speedup_is_switched_off(few, monkeypatch):
    kept = []
    monkeypatch.setattr(speed.Ours, "train_epoch", lambda self: kept.append(self.state.speedups) or 0.0)
    for name in (name for names in speed.WITHOUT.values() for name in names):
        speed.time_steps(f"without {name}", steps=1)
    assert {frozenset(ALL - speedups) for speedups in kept} == {
        *(frozenset({name}) for name in ALL - {"channels_last"}),
        frozenset({"channels_last", "batchnorm_channels_first"}),
        frozenset(),
    }


def test_main_keeps_the_rows_of_other_parts_and_devices(tmp_path, monkeypatch):
    old = results.read("speed")
    monkeypatch.setattr(results, "BUILD", tmp_path)
    monkeypatch.setattr(results, "machine_columns", lambda: {"device": "cpu AMD EPYC", "date": "2030-01-01"})
    monkeypatch.setattr(speed, "run_in_process", lambda job: {"fit_s": 50.0, "process_s": 60.0})
    old.to_csv(tmp_path / "speed.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["speed", "--parts", "runs", "--repetitions", "2"])
    speed.main()
    new = results.read_csv(tmp_path / "speed.csv")
    is_own = (new["device"] == "cpu AMD EPYC") & (new["part"] == "runs")
    assert dict(zip(new["epochs"][is_own], new["n"][is_own], strict=True)) == {5: 2, 15: 1}
    kept = old[(old["device"] != "cpu AMD EPYC") | (old["part"] != "runs")]
    assert new[~is_own]["median"].dropna().tolist() == kept["median"].dropna().tolist()
