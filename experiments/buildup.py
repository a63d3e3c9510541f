"""What is each component of the recipe worth? From plain SGD to the recipe, one change at a time. `make exp-buildup`

The protocol, in HISTORY.md, was written before the first run. The constant learning rate is chosen on held-out training
images (buildup_rates.csv); the configurations are trained on all 60,000 and evaluated on the test set (buildup.csv).
One row per epoch, accuracies in percent. `live` columns are of the live weights, the others of the EMA weights, so
"+ EMA weights" is a second evaluation of the runs before it. All committed runs are from the same Intel Xeon; those of
the recipe are in seeds_xeon.csv.
"""

import functools
import itertools

import pandas as pd
import torch

import utils
from experiments import results, runner, stats
from training.data import hold_out

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
        "recipe": {},
    }


def train_at_rate(run):
    """Train at a constant rate, such as "constant 0.005", on 50,000 images; return the rows of the other 10,000."""
    training, _ = runner.load_splits()
    splits = hold_out(training)
    recipe = recipes(float(run["configuration"].split()[1]))["constant"]
    history = runner.train(splits, run["seed"], **recipe, extra_metrics=runner.evaluate_live_weights(splits[1]))
    return runner.as_rows(run, history, "validation")


def train_one(run, rate):
    """Train one configuration from one seed; return its rows."""
    splits = runner.load_splits()
    recipe = recipes(rate)[run["configuration"]]
    history = runner.train(splits, run["seed"], **recipe, extra_metrics=runner.evaluate_live_weights(splits[1]))
    return runner.as_rows(run, history)


def best_rate(rows):
    """Return the one of `RATES` whose live weights have the highest mean accuracy over epochs 10 to 15."""
    return max(RATES, key=lambda r: runner.by_seed(rows, "live_accuracy", configuration=f"constant {r}").mean())


def read():
    """Return the rows of all committed runs."""
    recipe = results.read("seeds_xeon").query("seed in @SEEDS").assign(configuration="recipe")
    return pd.concat([results.read("buildup"), recipe])


def values(rows, metric):
    """Return `metric`, "accuracy" or "loss", of every configuration: name → Series by seed (see `runner.by_seed`)."""
    return {
        name: runner.by_seed(rows, f"{weights}_{metric}", configuration=runs)
        for name, (runs, weights) in CONFIGURATIONS.items()
    }


def comparisons(rows):
    """Return how each configuration differs from the one before: metric → configuration → `Estimate`, simultaneous."""
    level = stats.bonferroni_level(2 * (len(CONFIGURATIONS) - 1))
    found = {"accuracy": {}, "loss": {}}
    for metric, differences in found.items():
        by_name = values(rows, metric)
        for before, name in itertools.pairwise(CONFIGURATIONS):
            differences[name] = stats.compare(by_name[name], by_name[before], level)
    return found


def table():
    """Return the comparisons as a Markdown table."""
    return stats.difference_table(**comparisons(read()))


def ends():
    """Return the mean accuracy of the "first" and "last" configuration over epochs 10 to 15, and what "others" add.

    The others are all components except the schedule, together.
    """
    first, scheduled, *_, last = values(read(), "accuracy").values()
    means = {name: f"{stats.fixed(runs.mean(), 2)}%" for name, runs in (("first", first), ("last", last))}
    return means | {"others": stats.compare(last, scheduled).format(3)}


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
    tuning = [{"configuration": f"constant {rate}", "seed": seed} for seed in TUNING_SEEDS for rate in RATES]
    path = results.path_for("buildup_rates", options.update)
    rate = best_rate(runner.run_all(path, tuning, train_at_rate, options))
    print(f"best constant rate: {rate}")
    runs = [{"configuration": name, "seed": seed} for seed in SEEDS for name in recipes(rate)]
    path = results.path_for("buildup", options.update)
    rows = runner.run_all(path, runs, functools.partial(train_one, rate=rate), options)
    found = comparisons(rows)
    print(stats.difference_table(**found))
    plot(found).savefig(path.with_suffix(".png"))


if __name__ == "__main__":
    main()
