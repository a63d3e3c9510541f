"""speed.py and timed_run.py: every figure is measured, and files keep what is not measured again."""

import sys

import pytest

import utils
from experiments import speed, timed_run, timing
from model import Net

METRICS = {"startup_s", "data_ms", "step_ms", "epoch_s", "evaluate_s", "peak_mb"}


def test_a_quick_look_measures_everything_and_writes_nothing(monkeypatch, capsys):
    before = speed.CSV.read_bytes()
    monkeypatch.setattr(speed, "VARIANTS", {"ours": speed.VARIANTS["ours"]})
    monkeypatch.setattr(sys, "argv", ["speed", "--steps", "2", "--repetitions", "1"])
    speed.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.endswith(")")]
    assert {metric for _, metric, *_ in rows} == METRICS
    assert all(float(median) > 0 for _, _, median, *_ in rows)
    assert speed.CSV.read_bytes() == before


@pytest.fixture
def baseline():
    """The baseline on 256 training and 500 test images."""
    training = timed_run.Baseline(256, seed=0, dropout=0.05, epochs=2)
    test_set = training.test_loader.dataset
    test_set.data, test_set.targets = test_set.data[:500], test_set.targets[:500]
    return training


def test_baseline_evaluates_after_every_epoch(baseline, monkeypatch):
    evaluated, evaluate = [], baseline.evaluate
    monkeypatch.setattr(baseline, "evaluate", lambda: evaluated.append(evaluate()) or evaluated[-1])
    assert baseline.run() == evaluated[-1]
    assert len(evaluated) == 2


def test_every_figure_of_the_baseline_is_timed(baseline):
    assert set(timed_run.time_parts(baseline, 256)) == METRICS


def test_ours_is_fit_with_its_defaults(few):
    found = timed_run.Ours(256, seed=0, dropout=0.0, epochs=2).run()
    train = utils.Split(*(part[:256] for part in few[0]))
    utils.set_seed(0)
    last = utils.fit(Net(), train, few[1], epochs=2, seed=0, verbose=False)[-1]
    assert found == (last["test_loss"], last["test_accuracy"])


def test_table_has_the_committed_variants():
    rows = speed.table("cpu AMD EPYC").splitlines()[2:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == [name for _, name in speed.VARIANTS.values()]


def test_plot_has_one_panel_per_device():
    rows = timing.read(speed.CSV)
    assert len(speed.plot(rows).axes) == len({row["device"] for row in rows})
