"""speed.py: variants alternate, ratios are within a repetition, and what is timed is `fit`."""

import time

import utils
from experiments import speed
from training.speedups import ALL


def test_jobs_alternate_and_ratios_are_within_a_repetition(monkeypatch):
    times, asked = iter([80.0, 40.0, 120.0, 30.0, 90.0, 45.0]), []

    def run(job):
        asked.append((job["variant"], job["seed"]))
        return {"step_ms": next(times)}

    monkeypatch.setattr(speed, "run_in_process", run)
    jobs = [{"variant": "baseline", "workers": 2, "steps": 60}, {"variant": "ours", "steps": 60}]
    rows = speed.measure("steps", jobs, 3).set_index(["variant", "metric"])
    assert asked == [("baseline", 0), ("ours", 0), ("baseline", 1), ("ours", 1), ("baseline", 2), ("ours", 2)]
    assert list(rows.loc[("baseline", "step_ms")][["n", "median", "minimum", "maximum"]]) == [3, 90, 80, 120]
    assert rows.loc[("baseline", "ratio")]["values"] == "2 4 2"  # its median is 2; that of the medians, 2.25


def test_steps_are_timed_in_a_process_of_their_own():
    for variant in ("ours", "baseline"):
        assert speed.run_in_process({"variant": variant, "workers": 0, "steps": 1})["step_ms"] > 0


def test_fit_is_timed_from_the_start_of_the_interpreter_and_without_a_speedup(few, monkeypatch):
    monkeypatch.setattr(utils, "TrainState", utils.TrainState)  # put back after the test
    monkeypatch.setattr(speed, "STARTED", time.time() - 100)
    figures = speed.time_training("ours", epochs=2, seed=3)
    assert figures["process_s"] > 100 > figures["fit_s"] > 0
    assert utils.TrainState.keywords["speedups"] == ALL
    speed.time_training("without malloc", steps=1)
    assert utils.TrainState.keywords["speedups"] == ALL - {"malloc"}
