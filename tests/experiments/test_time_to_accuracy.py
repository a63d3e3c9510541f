"""time_to_accuracy.py: rows, and the comparison seed by seed."""

from experiments import time_to_accuracy, timing

MACHINE = {"date": "", "device": "cpu", "cores": 2, "torch": "2"}


def figures(*runs):
    return [{"loss": 0.02, "accuracy": accuracy, "run_s": 1.0, "process_s": seconds} for accuracy, seconds in runs]


def test_the_baseline_is_compared_seed_by_seed(monkeypatch):
    found = {
        "baseline": figures((0.9940, 840.0), (0.9944, 810.0), (0.9942, 840.0)),
        "ours": figures((0.9941, 84.0), (0.9943, 90.0), (0.9942, 120.0)),
    }
    rows = time_to_accuracy.run_rows(found, {"baseline": 15, "ours": 6}, MACHINE)
    assert list(rows[0]) == list(timing.read(time_to_accuracy.CSV)[0])
    monkeypatch.setattr(timing, "read", lambda path: [*rows[::-1], rows[0] | {"device": "cuda"}])
    assert time_to_accuracy.ratio("cpu") == "9.0 times as long (7.0 to 10.0)"
    assert time_to_accuracy.table("cpu").splitlines()[2:] == [
        "| DataLoader baseline, dropout 0.05 | 15 | 99.42% | 14.0 (13.5 to 14.0) |",
        "| this repository | 6 | 99.42% | 1.5 (1.4 to 2.0) |",
    ]
