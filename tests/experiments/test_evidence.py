"""The committed results hold every run of their protocols, and no other."""

import pytest

import utils
from experiments import RESULTS, buildup, calibration, other_networks, schedule_length, timing
from model import load_net

SEEDS = range(10)
NETWORKS = [str(parameters) for parameters in other_networks.NETWORKS]


def product(names, runs):
    return {(name, seed) for name in names for seed in runs}


@pytest.mark.parametrize(
    ("name", "key", "runs", "epochs"),
    [
        ("seeds", None, product([None], range(40)), 15),
        ("seeds_xeon", None, product([None], range(16)), 15),
        ("seeds_cuda", None, product([None], range(144)), 15),
        ("strength_seeds", None, product([None], range(26)), 15),
        *((f"schedule_{n}_cuda", None, product([None], range(40)), n) for n in schedule_length.GPU_SCHEDULES),
        ("schedule_length", "epochs", {(str(n), s) for n, k in schedule_length.SCHEDULES.items() for s in range(k)}, 1),
        ("buildup", "configuration", product(buildup.recipes(0.05), SEEDS), 15),
        ("buildup_rates", "configuration", product([f"constant {r}" for r in buildup.RATES], buildup.TUNING_SEEDS), 15),
        ("other_networks_cuda", "parameters", product(NETWORKS, range(12)), 15),
        ("strength", "line", product(["strength 0.5", "strength 1.25"], SEEDS), 15),
    ],
)
def test_results_hold_every_run(name, key, runs, epochs):
    found = {}
    for row in timing.read(RESULTS / f"{name}.csv"):
        found.setdefault((row[key] if key else None, int(row["seed"])), []).append(row.get("epoch", "1"))
    assert set(found) == runs
    assert all(own == [str(epoch) for epoch in range(1, epochs + 1)] for own in found.values())


def test_the_constant_rate_of_the_buildup_is_the_best_of_its_file():
    assert buildup.best_rate(timing.read(buildup.RATES_CSV)) == 0.05


def test_mistakes_are_those_of_the_saved_weights(mnist):
    """To within rounding: on another processor, an image with two nearly equal logits may change sides."""
    test = mnist[1]
    logits = utils.compute_logits(load_net().to(test.images.device), test.images)
    found = {row["test_index"] for row in calibration.mistakes(logits, test.labels)}
    committed = {int(row["test_index"]) for row in timing.read(calibration.MISTAKES_CSV)}
    assert len(found ^ committed) <= 2
