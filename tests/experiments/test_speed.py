"""speed.py: variants alternate, ratios are within a repetition, and what is timed is the training of `fit`."""

import time

import pandas as pd

import utils
from experiments import speed
from training.speedups import ALL


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


def test_steps_are_timed_in_a_process_of_their_own_and_only_the_baseline_waits_for_data():
    ours = speed.run_in_process({"variant": "ours", "steps": 2})
    baseline = speed.run_in_process({"variant": "baseline", "workers": 0, "steps": 2})
    assert ours["step_ms"] > ours["data_ms"] == 0
    assert baseline["step_ms"] > baseline["data_ms"] > 0


def test_a_run_of_ours_is_fit_timed_from_the_start_of_the_interpreter(few, monkeypatch):
    monkeypatch.setattr(speed, "STARTED", time.time() - 100)
    figures = speed.time_run("ours", epochs=2, seed=3)
    utils.set_seed(3)
    history = utils.fit(speed.Net(), *few, epochs=2, seed=3, verbose=False)
    assert figures["test_accuracy"] == 100 * history[-1]["test_accuracy"]
    assert figures["process_s"] > 100 > figures["fit_s"]


def test_every_speedup_is_switched_off():
    assert {name for names in speed.WITHOUT.values() for name in names} == ALL | {"nothing"}
    assert speed.Ours(1, {"malloc"}, seed=0).state.speedups == ALL - {"malloc"}
