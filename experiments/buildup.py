"""What is each component of the recipe worth? From plain SGD to the recipe, one change at a time. `make exp-buildup`

The protocol, in HISTORY.md, was written before the first run. The constant learning rate is chosen on held-out training
images (buildup_rates.csv); the configurations are trained on all 60,000 and evaluated on the test set (buildup.csv).
One row per epoch, accuracies in percent. `live` columns are of the live weights, the others of the EMA weights, so
"+ EMA weights" is a second evaluation of the runs before it. All committed runs are from the same Intel Xeon; those of
the recipe are copied from seeds_xeon.csv.
"""

import functools
import itertools
import textwrap

import numpy as np
import torch

import plots
import utils
from experiments import results, runner, seeds, stats
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
    """Return the committed rows."""
    return results.read("buildup")


def values(rows, metric):
    """Return `metric`, "accuracy" or "loss", of every configuration: name → Series by seed (see `runner.by_seed`)."""
    return {
        name: runner.by_seed(rows, f"{weights}_{metric}", configuration=runs)
        for name, (runs, weights) in CONFIGURATIONS.items()
    }


def comparisons(rows):
    """Return how each configuration differs from the one before: metric → configuration → `Estimate`, simultaneous."""
    found = {"accuracy": {}, "loss": {}}
    for metric, differences in found.items():
        by_name = values(rows, metric)
        for before, name in itertools.pairwise(CONFIGURATIONS):
            differences[name] = stats.compare(by_name[name], by_name[before], m=2 * (len(CONFIGURATIONS) - 1))
    return found


def table(rows=None):
    """Return `comparisons` of the committed rows, or of `rows`, as a Markdown table.

    The result is decided by the intervals. The p-values are corrected by Holm's method over all of them.
    """
    found = comparisons(read() if rows is None else rows)
    p_values = np.reshape(stats.holm([estimate.p for own in found.values() for estimate in own.values()]), (2, -1))
    lines = []
    for (name, accuracy), loss, p in zip(found["accuracy"].items(), found["loss"].values(), p_values.T, strict=True):
        effects = [
            f"{metric} {'higher' if estimate.mean > 0 else 'lower'}"
            for metric, estimate in (("accuracy", accuracy), ("loss", loss))
            if estimate.excludes_zero
        ]
        result = ", ".join(effects) or "no significant difference"
        lines.append((name, accuracy.format(), f"{p[0]:.4f}", loss.format(5), f"{p[1]:.4f}", result))
    return stats.markdown(("change", "accuracy (interval)", "p", "loss (interval)", "p", "result"), lines)


def figures():
    """Return the mean accuracy over epochs 10 to 15 of the "first" and "last" configuration, and two more, as text.

    `others` is what all components except the schedule add together; `correlations` are those of the seeds' accuracies
    in neighbouring rows of the table.
    """
    runs = list(values(read(), "accuracy").values())
    correlations = [before.corr(after) for before, after in itertools.pairwise(runs)]
    return {
        "first": f"{stats.fixed(runs[0].mean(), 2)}%",
        "last": f"{stats.fixed(runs[-1].mean(), 2)}%",
        "others": stats.compare(runs[-1], runs[1]).format(),
        "correlations": ", ".join(stats.fixed(value, 1) for value in correlations),
    }


@seeds.large_style
def plot(found):
    """Return the forest plot of `comparisons`. An interval that excludes zero is orange and has a filled mark."""
    labels = {"accuracy": "change in accuracy (percentage points)", "loss": "change in loss (nats)"}
    names = [textwrap.fill(name, 22) for name in found["accuracy"]]
    figure, panels = plots.new_figure(len(labels), 1, width=5.6, height=6.4)
    for axes, (metric, label) in zip(panels, labels.items(), strict=True):
        for place, estimate in enumerate(found[metric].values()):
            colour, fill = (plots.ORANGE, "full") if estimate.excludes_zero else (plots.BLUE, "none")
            lengths = [[estimate.mean - estimate.low], [estimate.high - estimate.mean]]
            axes.errorbar(estimate.mean, place, xerr=lengths, fmt="s", color=colour, fillstyle=fill, capsize=4)
        axes.axvline(0, color="black", linewidth=1)
        axes.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
        axes.set_yticks(range(len(names)), names)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x", alpha=0.3)
    return figure


def main():
    options = runner.parser("Go from plain SGD to the recipe, one change at a time.").parse_args()
    tuning = [{"configuration": f"constant {rate}", "seed": seed} for seed in TUNING_SEEDS for rate in RATES]
    rates_path = results.path_for("buildup_rates", options.update)
    rate = best_rate(runner.run_all(rates_path, tuning, train_at_rate, options))
    print(f"best constant rate: {rate}")
    runs = [{"configuration": name, "seed": seed} for seed in SEEDS for name in recipes(rate)]
    path = results.path_for("buildup", options.update)
    rows = runner.run_all(path, runs, functools.partial(train_one, rate=rate), options)
    print(table(rows))
    plot(comparisons(rows)).savefig(path.with_suffix(".png"))


if __name__ == "__main__":
    main()
