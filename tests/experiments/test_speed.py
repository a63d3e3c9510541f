"""speed.py: variants alternate, ratios are within a repetition, and what is timed is the training of `fit`."""

import inspect
import sys

import pandas as pd
import pytest
import torch
from helpers import make_net

import utils
from experiments import results, speed
from training.speedups import ALL
from training.state import TrainState


def test_jobs_alternate_and_ratios_are_within_a_repetition():
    times = iter([80.0, 40.0, 120.0, 30.0, 90.0, 45.0])
    asked = []

    def run(job):
        asked.append((job["variant"], job["seed"]))
        return {"step_ms": next(times)}

    jobs = [{"variant": "baseline", "workers": 2}, {"variant": "ours"}]
    rows = pd.DataFrame(speed.rows_of("steps", jobs, speed.interleave(jobs, 3, run)))
    assert asked == [("baseline", 0), ("ours", 0), ("baseline", 1), ("ours", 1), ("baseline", 2), ("ours", 2)]
    step, ratio = rows[rows["variant"] == "baseline"].to_dict("records")
    assert (step["median"], step["minimum"], step["maximum"], step["n"]) == ("90", "80", "120", 3)
    assert (ratio["metric"], ratio["values"]) == ("ratio", "2 4 2")  # not 90 ÷ 40


def test_a_process_is_timed_from_the_start_of_its_interpreter():
    figures = speed.run_in_process({"variant": "ours", "steps": 2})
    assert figures["startup_s"] > 0.5  # importing torch takes longer
    assert 0 < figures["data_ms"] < figures["step_ms"]
    with pytest.raises(SystemExit, match=r"(.|\n)*failed:(.|\n)*KeyError: 'another'"):
        speed.run_in_process({"variant": "without another", "steps": 2})


def test_the_baseline_is_timed_with_and_without_workers():
    for workers in (0, 2):
        figures = speed.time_steps("baseline", workers, steps=2)
        assert 0 < figures["data_ms"] < figures["step_ms"]


def test_a_run_of_the_baseline_is_evaluated_after_every_epoch(monkeypatch):
    accuracies = iter([0.5, 0.75])
    monkeypatch.setattr(speed.Baseline, "train_epoch", lambda self: None)
    monkeypatch.setattr(speed.Baseline, "accuracy", lambda self: next(accuracies))
    assert speed.time_run("baseline-dropout", epochs=2, workers=0)["test_accuracy"] == 75
    assert next(accuracies, None) is None


def test_a_run_of_ours_is_fit_with_its_defaults(small, few):
    figures = speed.time_run("ours", epochs=2, seed=3)
    utils.set_seed(3)
    history = utils.fit(speed.Net(), *small, epochs=2, seed=3, verbose=False)
    assert figures["test_accuracy"] == 100 * history[-1]["test_accuracy"]
    assert 0 < figures["fit_s"] < figures["process_s"]


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


@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_every_speedup_is_switched_off(kind):
    assert set().union(*speed.WITHOUT[kind].values()) <= ALL
    assert set().union(*(names for without in speed.WITHOUT.values() for names in without.values())) == ALL


def test_main_keeps_the_rows_of_other_parts_and_devices(tmp_path, monkeypatch):
    old = results.read("speed")
    monkeypatch.setattr(results, "BUILD", tmp_path)
    monkeypatch.setattr(results, "machine_columns", lambda: {"device": "cpu AMD EPYC", "date": "2030-01-01"})
    monkeypatch.setattr(speed, "run_in_process", lambda job: {"fit_s": 50.0, "process_s": 60.0})
    monkeypatch.setattr(speed.interleave, "__defaults__", (speed.run_in_process,))
    old.to_csv(tmp_path / "speed.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["speed", "--parts", "runs", "--repetitions", "2"])
    speed.main()
    new = results.read_csv(tmp_path / "speed.csv")
    replaced = (old["device"] == "cpu AMD EPYC") & (old["part"] == "runs")
    assert len(new) == len(old) - replaced.sum() + 6
    own = new[(new["device"] == "cpu AMD EPYC") & (new["part"] == "runs")]
    assert dict(zip(own["epochs"], own["n"], strict=True)) == {5: 2, 15: 1}
