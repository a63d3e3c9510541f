"""The study of how many epochs are enough: what it keeps of a run, and what it makes of many."""

import pytest

from experiments import runner as study
from experiments import schedule_length as budget

RECIPE = [
    {"seed": str(seed), "epoch": str(epoch), "test_accuracy": f"{99 + epoch / 30 + seed / 1000:.3f}"}
    for seed in range(12)
    for epoch in range(1, 16)
]
ROWS = [
    {"epochs": str(epochs), "seed": str(seed), "test_accuracy": accuracy}
    for epochs, accuracies in {5: ("99.39", "99.41"), 3: ("99.10", "99.30"), 8: ("99.50", "99.46")}.items()
    for seed, accuracy in enumerate(accuracies)
]


def test_a_run_is_one_row_the_last_epoch_with_the_seconds_of_all(small, monkeypatch, tmp_path):
    monkeypatch.setattr(budget.utils, "load_mnist", lambda folder: small)
    (row,) = budget.work({"epochs": 2, "seed": 0})
    assert {*row, *budget.NAMES} == set(budget.FIELDS)
    assert float(row["seconds"]) > 0
    csv, runs = tmp_path / "schedule_length.csv", [{"epochs": 2, "seed": 0}, {"epochs": 3, "seed": 0}]
    made = []

    def work(run):
        made.append(run)
        return [row]

    for _ in range(2):  # the second time, both are there
        rows = study.study(csv, budget.FIELDS, budget.NAMES, runs, work, jobs=1, backend="sequential", epochs=1)
        assert [(found["epochs"], found["seed"]) for found in rows] == [("2", "0"), ("3", "0")]
    assert made == runs


def test_the_cycle_of_fifteen_is_read_from_the_seeds():
    found = budget.accuracies(ROWS, RECIPE)
    assert list(found) == [3, 5, 8, 15]
    assert found[5] == {0: 99.39, 1: 99.41}
    assert list(found[15]) == list(range(10))  # as many as the others have
    assert found[15][1] == pytest.approx(99.501)


def test_the_fewest_epochs_are_by_mean_and_by_seeds():
    table = budget.summarise(budget.accuracies(ROWS, RECIPE))
    five = next(row for row in table if row["epochs"] == 5)
    assert five["mean"] == pytest.approx(99.40)
    assert five["low"] < 99.40 < five["high"]
    assert (five["worst"], five["reached"], five["seeds"]) == (99.39, 1, 2)
    assert budget.fewest(table) == (5, 8)
    assert budget.fewest(table[:1]) == (None, None)


def test_the_figure_shows_every_seed_the_claim_and_both_scales():
    found = budget.accuracies(ROWS, RECIPE)
    (axes,) = budget.plot(found, 14.0).axes
    assert [len(dots.get_offsets()) for dots in axes.collections] == [2, 2, 2, 10]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one seed", "mean", "99.4 %"]
    (minutes,) = axes.child_axes
    assert "minutes" in minutes.get_xlabel()
    assert [label.get_text() for label in minutes.get_xticklabels()] == ["0.7", "1.2", "1.9", "3.5"]


def test_the_time_of_an_epoch_is_that_of_the_benchmark(monkeypatch):
    """On a CPU, as the axis says, wherever its rows stand in the file."""
    rows = study.read(budget.CSV.with_name("speed.csv"))
    ours = {row["device"]: row["median"] for row in rows if (row["variant"], row["metric"]) == ("ours", "epoch_s")}
    (median,) = (median for device, median in ours.items() if device.startswith("cpu "))
    assert len(ours) > 1
    monkeypatch.setattr(study, "read", lambda path: rows[::-1])
    assert budget.epoch_seconds() == float(median)
