"""What is each component of the recipe worth? From plain SGD to the recipe, one change at a time. `make exp-buildup`

The protocol, in README.md, was written before the first run. The constant learning rate is chosen on held-out training
images (results/buildup_rates.csv); the configurations are trained on all 60,000 and evaluated on the test set
(results/buildup.csv). One row per epoch, accuracies in percent. `live` columns are of the live weights, the others of
the EMA weights, so "+ EMA weights" is a second reading of the runs before it. The runs of the recipe are those of
seeds_xeon.csv: all of them ran on the same Intel Xeon.
"""

import functools
import statistics

import torch

import utils
from experiments import RESULTS, runner, seeds, stats
from training.data import hold_out

CSV = RESULTS / "buildup.csv"
RATES_CSV = CSV.with_name("buildup_rates.csv")
RECIPE_CSV = seeds.MACHINES["xeon"][1]
KEY_COLUMNS = ("configuration", "seed")
COLUMNS = (
    *KEY_COLUMNS,
    *runner.TRAIN_COLUMNS,
    "test_loss",
    "test_accuracy",
    *runner.LIVE_COLUMNS,
    *runner.MACHINE_COLUMNS,
)
RATES_COLUMNS = tuple(name.replace("test_", "validation_") for name in COLUMNS)

RATES = (0.005, 0.015, 0.05)
TUNING_SEEDS = range(100, 103)  # used for nothing else
SEEDS = range(10)

# Row of the table: which runs, and which weights they are evaluated with. Each is compared with the one before.
CONFIGURATIONS = {
    "SGD at a constant rate": ("constant", "live"),
    "+ one-cycle schedule, peaking at that rate": ("scheduled", "live"),
    "+ a peak three times as high": ("higher", "live"),
    "+ augmentation": ("augmented", "live"),
    "+ EMA weights": ("augmented", "test"),
    "+ Muon and Adam = the recipe": ("recipe", "test"),
}


def sgd(model, lr):
    """Return SGD with Nesterov momentum for all parameters, without weight decay, as in the recipe."""
    return [torch.optim.SGD(model.parameters(), lr, 0.9, nesterov=True, fused=True)]


def constant(steps):
    """Return a multiplier of 1 for every step, float32 [steps]."""
    return torch.ones(steps)


def recipes(rate):
    """Return what each configuration changes: name → arguments of `fit`. `rate` is the constant learning rate."""
    plain = {"make_optimizers": sgd, "augment": utils.identity_affines}
    return {
        "constant": plain | {"lr": rate, "schedule": constant},
        "scheduled": plain | {"lr": rate},
        "higher": plain | {"lr": 3 * rate},
        "augmented": {"make_optimizers": sgd, "lr": 3 * rate},
    }


def train_at_rate(run):
    """Train at a constant rate, such as "constant 0.005", on 50,000 images; return the rows of the other 10,000."""
    training, _ = runner.load_splits()
    splits = hold_out(training)
    recipe = recipes(float(run["configuration"].split()[1]))["constant"]
    metrics = runner.evaluate_live_weights(splits[1])
    return runner.history_rows(runner.train(splits, run["seed"], **recipe, extra_metrics=metrics), "validation")


def train_one(run, rate):
    """Train one configuration from one seed; return its rows."""
    splits = runner.load_splits()
    recipe = recipes(rate)[run["configuration"]]
    metrics = runner.evaluate_live_weights(splits[1])
    return runner.history_rows(runner.train(splits, run["seed"], **recipe, extra_metrics=metrics), "test")


def best_rate(rows):
    """Return the one of `RATES` whose live weights have the highest mean accuracy over epochs 10 to 15."""

    def mean(rate):
        return statistics.mean(runner.by_seed(rows, "live", "accuracy", configuration=f"constant {rate}").values())

    return max(RATES, key=mean)


def values(rows, recipe, metric):
    """Return `metric` of every configuration from `rows` and the recipe's runs: configuration → seed → value."""
    rows = rows + [row | {"configuration": "recipe"} for row in recipe if int(row["seed"]) in SEEDS]
    return {
        name: runner.by_seed(rows, weights, metric, configuration=runs)
        for name, (runs, weights) in CONFIGURATIONS.items()
    }


def comparisons(rows, recipe):
    """Return how each configuration differs from the one before: metric → configuration → `Estimate`, simultaneous."""
    level = stats.bonferroni_level(2 * (len(CONFIGURATIONS) - 1))
    found = {}
    for metric in ("accuracy", "loss"):
        own = values(rows, recipe, metric)
        pairs = zip(list(own)[1:], own.values(), strict=False)
        found[metric] = {name: stats.compare(own[name], before, level) for name, before in pairs}
    return found


def read():
    return runner.read(CSV), runner.read(RECIPE_CSV)


def table():
    return stats.table(comparisons(*read()))


def ends():
    """Return the mean accuracy of the "first" and "last" configuration over epochs 10 to 15, and what "others" add.

    The others are all components except the schedule, together.
    """
    own = list(values(*read(), "accuracy").values())
    first, last = (f"{stats.fixed(statistics.mean(found.values()), 2)}%" for found in (own[0], own[-1]))
    return {"first": first, "last": last, "others": stats.compare(own[-1], own[1]).format(3)}


def plot(found):
    """Return the forest plot of the comparisons."""
    return stats.forest_plot(
        {
            "change in accuracy (percentage points)": found["accuracy"],
            "change in loss (nats)": found["loss"],
        }
    )


def main():
    options = runner.parser("Go from plain SGD to the recipe, one change at a time.").parse_args()
    run_all = functools.partial(runner.run_all, key_columns=KEY_COLUMNS, jobs=options.jobs, backend=options.backend)
    tuning = [{"configuration": f"constant {rate}", "seed": seed} for seed in TUNING_SEEDS for rate in RATES]
    rate = best_rate(run_all(RATES_CSV, RATES_COLUMNS, runs=tuning, train_one=train_at_rate))
    print(f"best constant rate: {rate}")
    runs = [{"configuration": name, "seed": seed} for seed in SEEDS for name in recipes(rate)]
    run_all(CSV, COLUMNS, runs=runs, train_one=functools.partial(train_one, rate=rate))
    print(table())
    plot(comparisons(*read())).savefig(CSV.with_suffix(".png"))


if __name__ == "__main__":
    main()
