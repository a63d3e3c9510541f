"""seeds.py: what is counted over the seeds, and what the figure shows."""

import pytest
import torch

from experiments import seeds

# Two runs: one above 99.40% from epoch 6 on, the other exactly at 99.40% in epochs 1 and 14.
STEADY = [99.0] * 5 + [99.41] * 4 + [99.50] * 6
EARLY = [99.40] + [99.0] * 8 + [99.44] * 4 + [99.40, 99.60]


def test_summarise_counts_strictly_above_the_target():
    found = seeds.summarise({0: STEADY, 1: EARLY})
    assert (found["seeds"], found["mean_10"], found["worst_10"], found["best_15"]) == (
        "2",
        "99.470%",
        "99.44%",
        "99.60%",
    )
    assert found["deviation_15"] == "0.071"
    # Student's t for one degree of freedom is 12.706, the standard error 0.05.
    assert found["interval_15"] == "98.915 to 100.185"
    assert (found["always_above"], found["always_at"]) == ("1 of 2", "2 of 2")
    assert (found["first_median"], found["first_latest"], found["within_10"]) == ("8", "10", "2 of 2")


def test_summarise_counts_a_run_that_never_reaches_the_target():
    found = seeds.summarise({0: [99.0] * 15, 1: [99.5] * 15})
    assert (found["within_10"], found["first_latest"]) == ("1 of 2", "never")
    assert (found["above_10"], found["above_interval_10"]) == ("1 of 2", "1.3% to 98.7%")


def test_differences_pair_by_seed():
    """Over epochs 10 to 15 and the loss after 15: -0.03 and -0.05 points in the two seeds that both have."""

    def rows(runs):
        return [
            {"seed": str(seed), "epoch": str(n), "test_accuracy": str(late if n >= 10 else 90), "test_loss": str(loss)}
            for seed, (late, loss) in runs.items()
            for n in range(1, 16)
        ]

    others = rows({2: (99.6, 0.01), 1: (9, 9), 0: (99.5, 0.01)})
    found = seeds.differences(rows({0: (99.47, 0.02), 2: (99.55, 0.03)}), others)
    assert [own.mean for own in found.values()] == pytest.approx([-0.04, 0.015])
    assert [own.n for own in found.values()] == [2, 2]
    # Student's t for one degree of freedom and a level of 97.5% is 25.452, the standard error 0.01.
    assert found["accuracy"].high == pytest.approx(-0.04 + 0.25452, abs=1e-4)


def test_csv_of_separates_cpu_and_gpu():
    assert seeds.csv_of(torch.device("cpu")) == seeds.CSV
    assert seeds.csv_of(torch.device("cuda", 0)) == seeds.CSV.with_name("seeds_cuda.csv")


def test_plot_shows_every_run_and_the_mean():
    runs = {0: [99.0 + n / 50 for n in range(15)], 1: [99.1 + n / 50 for n in range(15)]}
    curves, spread = seeds.plot({"CPU": runs}).axes
    assert [list(line.get_ydata()) for line in curves.lines[:2]] == list(runs.values())
    assert list(curves.lines[2].get_ydata()) == pytest.approx([99.05 + n / 50 for n in range(15)])
    dots = [point for collection in spread.collections for point in collection.get_offsets()[:, 1]]
    assert dots == pytest.approx([runs[0][9], runs[1][9], runs[0][14], runs[1][14]])
