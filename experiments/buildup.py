"""What is each component of the recipe worth? From plain SGD to the recipe, one change at a time. `make exp-buildup`

The protocol, in HISTORY.md, was written before the first run. The constant learning rate was chosen on held-out
training images (buildup_rates.csv, with the code of commit 1c6f12d); the configurations are trained on all 60,000 and
evaluated on the test set. One row per epoch goes to buildup.csv, accuracies in percent. `live` columns are of the live
weights, the others of the EMA weights, so "+ EMA weights" is a second evaluation of the runs before it. All committed
runs are from the same Intel Xeon; those of the recipe are copied from seeds_xeon.csv.
"""

import itertools
import textwrap

import torch

import plots
import utils
from experiments import results, runner, seeds, stats

RATE = 0.05
METRICS = ("accuracy", "loss")

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


PLAIN = {"make_optimizers": sgd, "augment": utils.identity_affines}
RECIPES = {  # what each configuration changes: arguments of `fit`
    "constant": PLAIN | {"lr": RATE, "schedule": torch.ones},
    "scheduled": PLAIN | {"lr": RATE},
    "higher": PLAIN | {"lr": 3 * RATE},
    "augmented": {"make_optimizers": sgd, "lr": 3 * RATE},
    "recipe": {},
}


def live_weights(state, test):
    """Return loss and accuracy of the live weights on the test images."""
    loss, accuracy = utils.evaluate(state.live_model, test)
    return {"live_loss": loss, "live_accuracy": accuracy}


def train_one(run):
    """Train one configuration from one seed; return its rows."""
    return runner.train(run, measure=live_weights, **RECIPES[run["configuration"]])


def read():
    """Return the committed rows."""
    return results.read("buildup")


def values(rows, metric):
    """Return a metric of every configuration, name → Series by seed.

    The metric is "accuracy", the mean over epochs 10 to 15 in percent, or "loss", that after epoch 15.
    """
    late = rows[rows["epoch"] >= (10 if metric == "accuracy" else runner.EPOCHS)]
    means = late.groupby(["configuration", "seed"]).mean(numeric_only=True)
    return {name: means.loc[runs, f"{weights}_{metric}"] for name, (runs, weights) in CONFIGURATIONS.items()}


def comparisons(rows):
    """Return how each configuration differs from the one before: (name, accuracy, loss), simultaneous `Estimate`s."""
    both, m = [values(rows, metric) for metric in METRICS], 2 * (len(CONFIGURATIONS) - 1)
    pairs = itertools.pairwise(CONFIGURATIONS)
    return [(name, *(stats.compare(runs[name], runs[before], m) for runs in both)) for before, name in pairs]


def table(rows=None):
    """Return `comparisons` of the committed rows, or of `rows`, as a Markdown table."""
    lines = []
    for name, *pair in comparisons(read() if rows is None else rows):
        changes = [f"{metric} {own.direction}" for metric, own in zip(METRICS, pair, strict=True) if own.direction]
        result = ", ".join(changes) or "no significant difference"
        lines.append((name, pair[0].format(), pair[1].format(5), result))
    return stats.markdown(("change", "accuracy (interval)", "loss (interval)", "result"), lines)


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
    names = [textwrap.fill(name, 22) for name, *_ in found]
    figure, panels = plots.new_figure(2, 1, width=5.6, height=6.4)
    labels = ("change in accuracy (percentage points)", "change in loss (nats)")
    for axes, label, estimates in zip(panels, labels, list(zip(*found, strict=True))[1:], strict=True):
        for place, estimate in enumerate(estimates):
            colour, fill = (plots.ORANGE, "full") if estimate.direction else (plots.BLUE, "none")
            style = {"fmt": "s", "color": colour, "fillstyle": fill, "capsize": 4}
            axes.errorbar(estimate.mean, place, xerr=estimate.high - estimate.mean, **style)
        axes.axvline(0, color="black", linewidth=1)
        axes.set(xlabel=label, ylim=(len(names) - 0.5, -0.5))
        axes.set_yticks(range(len(names)), names)
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x", alpha=0.3)
    return figure


def main():
    options = runner.parser("Go from plain SGD to the recipe, one change at a time.", seeds=10).parse_args()
    runs = [{"configuration": name, "seed": seed} for seed in range(options.seeds) for name in RECIPES]
    path = results.path_for("buildup", options.update)
    rows = runner.run_all(path, runs, train_one, options)
    print(table(rows))
    plot(comparisons(rows)).savefig(path.with_suffix(".png"))


if __name__ == "__main__":
    main()
