"""seeds.py and schedule_length.py: what is counted over the seeds, and what is kept of a run."""

import pandas as pd

from experiments import schedule_length, seeds

# Two runs: one above 99.40% from epoch 6 on, the other exactly at 99.40% in epochs 1 and 14. One never reaches it.
STEADY = [99.0] * 5 + [99.41] * 4 + [99.50] * 6
EARLY = [99.40] + [99.0] * 8 + [99.44] * 4 + [99.40, 99.60]
NEVER = [99.0] * 14 + [99.40]


def frame(*runs):
    return pd.DataFrame(runs, columns=range(1, 16), index=range(len(runs)))


def test_summarize_counts_strictly_above_the_target():
    figures = seeds.summarize(frame(STEADY, EARLY))
    assert (figures["mean_10"], figures["worst_10"], figures["above_10"]) == ("99.470%", "99.44%", "2 of 2")
    assert figures["interval_15"] == "98.915 to 100.185"  # Student's t for one degree of freedom is 12.706
    assert (figures["always"], figures["always_at"]) == ("1 of 2", "2 of 2")
    figures = seeds.summarize(frame(STEADY, NEVER))
    assert (figures["within_10"], figures["above_15"]) == ("1 of 2", "1 of 2")
    assert figures["above_10_interval"] == "1.3% to 98.7%"  # 1 - √0.975 and √0.975, as Clopper and Pearson have it
    assert figures["above_10_percents"] == "1% and 99%"  # rounded outwards


def test_recommended_needs_an_interval_above_the_target_on_both_machines(monkeypatch):
    above, around = pd.Series([99.44, 99.45, 99.46]), pd.Series([99.30, 99.45, 99.60])
    runs = {"epyc": {4: around, 5: above, 6: above, 8: above}, "h100": {4: above, 5: around, 6: above}}
    runs = pd.concat({machine: pd.concat(own) for machine, own in runs.items()}, names=["machine", "epochs", "seed"])
    monkeypatch.setattr(schedule_length, "committed_runs", lambda: runs)
    assert schedule_length.recommended() == 6
    assert schedule_length.table().splitlines()[2].startswith("| 4 | AMD EPYC | 3 | 99.450% (")


def test_a_schedule_keeps_the_last_epoch_and_the_seconds_of_all(few):
    (row,) = schedule_length.train_one({"epochs": 2, "seed": 0})
    assert (row["epochs"], row["seed"]) == ("2", "0")
    assert float(row["seconds"]) > 0


def test_a_machines_rows_leave_out_other_machines(monkeypatch):
    devices = ["cpu", "cuda", "cpu AMD EPYC 7B13", "cpu Intel(R) Xeon(R) Processor"]
    monkeypatch.setattr(seeds.results, "read", lambda name: pd.DataFrame({"device": devices}))
    assert seeds.machine_rows("epyc")["device"].tolist() == devices[:3]
    assert seeds.machine_rows("xeon")["device"].tolist() == [*devices[:2], devices[3]]


def test_machine_difference_pairs_by_seed_over_late_epochs(monkeypatch):
    """-0.03 and -0.05 points in the two seeds that both have."""

    def rows(runs):
        late = [(seed, n, value if n >= 10 else 90) for seed, value in runs.items() for n in range(1, 16)]
        return pd.DataFrame(late, columns=["seed", "epoch", "test_accuracy"])

    machines = {"xeon": rows({0: 99.47, 2: 99.55}), "epyc": rows({2: 99.6, 1: 9, 0: 99.5})}
    monkeypatch.setattr(seeds, "machine_rows", machines.get)
    # Student's t for one degree of freedom is 12.706, the standard error 0.01.
    assert seeds.machine_difference("xeon")["paired"] == "-0.040 (-0.167 to +0.087)"
