"""speed.py and timed_run.py: a quick look measures everything, and files keep what is not measured again."""

import subprocess
import sys

from helpers import ROOT

from experiments import speed, timed_run, timing

METRICS = {"startup_s", "data_ms", "step_ms", "epoch_s", "evaluate_s", "peak_mb"}


def test_a_quick_look_measures_everything_and_writes_nothing():
    before = speed.CSV.read_bytes()
    command = [sys.executable, "-m", "experiments.speed", "--steps", "2", "--repetitions", "1"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in printed.splitlines() if line.endswith(")")]
    assert {(variant, metric) for variant, metric, *_ in rows} == {(v, m) for v in speed.VARIANTS for m in METRICS}
    assert all(float(median) > 0 for _, _, median, *_ in rows)
    assert speed.CSV.read_bytes() == before


def test_run_evaluates_after_every_epoch(few, monkeypatch):
    baseline = timed_run.Baseline(256, seed=0, dropout=0.05, epochs=2)
    evaluated = []
    evaluate = baseline.evaluate
    monkeypatch.setattr(baseline, "evaluate", lambda: evaluated.append(evaluate()) or evaluated[-1])
    assert baseline.run() == evaluated[-1]
    assert len(evaluated) == 2
    loss, accuracy = timed_run.Ours(256, seed=0, dropout=0.0, epochs=2).run()
    assert 0 < accuracy < 1 < loss


def test_table_has_the_committed_variants():
    rows = speed.table("cpu AMD EPYC").splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [name for _, name in speed.VARIANTS.values()]


def test_plot_has_one_panel_per_device():
    rows = timing.read(speed.CSV)
    assert len(speed.plot(rows).axes) == len({row["device"] for row in rows})
