"""schedule_length.py: what is kept of a run, and which number of epochs is recommended."""

from experiments import schedule_length


def test_train_one_returns_one_row_with_the_seconds_of_all_epochs(few):
    (row,) = schedule_length.train_one({"epochs": 2, "seed": 0})
    assert {*row, *schedule_length.KEY_COLUMNS} == set(schedule_length.COLUMNS)
    assert float(row["seconds"]) > 0


def test_accuracies_take_fifteen_epochs_from_the_seeds():
    recipe = [{"seed": str(s), "test_accuracy": f"{99 + e / 30 + s / 1000}"} for s in range(12) for e in range(1, 16)]
    rows = [{"epochs": "5", "seed": "0", "test_accuracy": "99.39"}, {"epochs": "3", "seed": "0", "test_accuracy": "99"}]
    found = schedule_length.accuracies(rows, recipe)
    assert list(found) == [3, 5, 15]
    assert found[5] == {0: 99.39}
    assert list(found[15]) == list(range(10))  # as many seeds as the others have


def test_recommended_needs_an_interval_above_the_target_on_both_machines(monkeypatch):
    above, around = {0: 99.44, 1: 99.45, 2: 99.46}, {0: 99.30, 1: 99.45, 2: 99.60}
    found = {"epyc": {4: around, 5: above, 6: above, 8: above}, "h100": {4: above, 5: around, 6: above}}
    monkeypatch.setattr(schedule_length, "machine_accuracies", lambda: found)
    assert schedule_length.recommended() == 6
    assert schedule_length.table().splitlines()[2].startswith("| 4 | AMD EPYC | 3 | 99.450% (")


def test_plot_shows_every_seed():
    found = schedule_length.machine_accuracies()
    (axes,) = schedule_length.plot(found, 14.0).axes
    sizes = [len(dots.get_offsets()) for dots in axes.collections]
    assert sizes == [len(values) for own in found.values() for values in own.values()]
    (minutes,) = axes.child_axes
    assert minutes.get_xticklabels()[0].get_text() == "0.7"
