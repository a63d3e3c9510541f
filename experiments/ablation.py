"""What is each piece of the recipe worth? `make ablation`

Starts from the plainest recipe (SGD, constant learning rate, no augmentation) and adds a piece at a time until it is
the recipe of `utils.fit`. Then leaves one piece out of that at a time; without Muon, it is the line before. Two pieces
bring more than their name says: the schedule another peak, and Muon another learning rate, AdamW for some weights, and
another weight decay. "Fading" in names of lines and trainings is the annealing of the augmentation.

Each is trained from the same five seeds as in seeds.py, on all 60,000 training images, for 15 epochs. Averaging takes
no part in training, so with and without it are two readings of the same runs. A row an epoch goes to
experiments/ablation.csv, accuracies in percent; tables to the terminal and, as a figure, the accuracies to
experiments/ablation.png.

A difference has the p-value of a paired t-test, two-sided, paired by seed, after epochs 10 and 15: of the test accuracy
and of the test loss, which also counts how sure the network is. The p-values are not corrected for their number.
Nothing was chosen by these figures: the recipe was frozen before, by search.py.
"""

import statistics
from pathlib import Path

import torch
from scipy import stats

import utils
from experiments import study
from experiments.search import sgd

CSV = Path(__file__).resolve().parent / "ablation.csv"
NAMES = ("training", "seed")
FIELDS = (*NAMES, *study.TRAINING, "test_loss", "test_accuracy", *study.CURRENT, *study.MACHINE)
SEEDS = 5


def constant(steps):
    """Return a share of 1 for every step, float32 [steps]."""
    return torch.ones(steps)


EVEN, NONE = (1, 1), (0, 0)  # strengths of the augmentation in the first and in the last epoch

TRAININGS = {
    "plain": {"optimizers": sgd, "lr": 0.01, "schedule": constant, "strength": NONE},
    "scheduled": {"optimizers": sgd, "lr": 0.1, "strength": NONE},
    "augmented": {"optimizers": sgd, "lr": 0.1, "strength": EVEN},
    "faded": {"optimizers": sgd, "lr": 0.1},
    "recipe": {},
    "recipe without schedule": {"schedule": constant},
    "recipe without augmentation": {"strength": NONE},
    "recipe without fading": {"strength": EVEN},
}

RECIPE = "+ Muon = the recipe"

# A line of the table: what it is, which training, read with which weights, and the line that it is compared with.
LINES = {
    "SGD at a constant 0.01": ("plain", "current", None),
    "+ one-cycle schedule, peak 0.1": ("scheduled", "current", "SGD at a constant 0.01"),
    "+ augmentation, always alike": ("augmented", "current", "+ one-cycle schedule, peak 0.1"),
    "+ fading of the augmentation": ("faded", "current", "+ augmentation, always alike"),
    "+ averaged weights": ("faded", "test", "+ fading of the augmentation"),
    RECIPE: ("recipe", "test", "+ averaged weights"),
    "the recipe without averaging": ("recipe", "current", RECIPE),
    "the recipe without fading": ("recipe without fading", "test", RECIPE),
    "the recipe without augmentation": ("recipe without augmentation", "test", RECIPE),
    "the recipe at a constant rate": ("recipe without schedule", "test", RECIPE),
}


def work(run):
    """Make one training from one seed; return its rows."""
    splits = utils.load_mnist(study.ROOT / "data")
    extra = study.look_at_current(splits[1])
    return study.rows_of(study.train(splits, run["seed"], **TRAININGS[run["training"]], extra=extra), "test")


def readings(rows, metric="accuracy", epoch=15):
    """Return the accuracies (in percent) or losses of every line of the table at `epoch`: line → seed → value."""
    found = {}
    for line, (training, weights, _) in LINES.items():
        own = [row for row in rows if row["training"] == training and int(row["epoch"]) == epoch]
        found[line] = {int(row["seed"]): float(row[f"{weights}_{metric}"]) for row in own}
    return {line: values for line, values in found.items() if values}


def compare(found):
    """Return, for every line of `readings`, mean and deviation, the difference to the line it is compared with, and p.

    p is that of a paired t-test, over the seeds that both lines have.
    """
    table = []
    for line, values in found.items():
        base = found.get(LINES[line][2], {})
        pairs = [(values[seed], base[seed]) for seed in values if seed in base]
        row = {"line": line, "seeds": len(values), "mean": statistics.mean(values.values())}
        row["deviation"] = statistics.stdev(values.values()) if len(values) > 1 else 0.0
        if len(pairs) > 1:
            row["difference"] = statistics.mean(ours - theirs for ours, theirs in pairs)
            row["p"] = float(stats.ttest_rel(*zip(*pairs, strict=True)).pvalue)
        table.append(row)
    return table


def cells(rows, epoch=15):
    """Return the table at `epoch`, texts, a tuple a line: what it is, accuracy, difference, p, loss, difference, p."""

    def versus(row, digits):
        return (f"{row['difference']:+.{digits}f}", f"{row['p']:.4f}") if "p" in row else ("", "")

    accuracies, losses = (compare(readings(rows, metric, epoch)) for metric in ("accuracy", "loss"))
    table = []
    for accuracy, loss in zip(accuracies, losses, strict=True):
        spread = f"{accuracy['mean']:.3f} ± {accuracy['deviation']:.3f}"
        table.append((accuracy["line"], spread, *versus(accuracy, 3), f"{loss['mean']:.4f}", *versus(loss, 4)))
    return table


def tell(rows, epoch=15):
    """Return the table at `epoch` as lines of text."""
    header = (f"after epoch {epoch}", "accuracy (%)", "difference", "p", "loss", "difference", "p")
    layout = "{:<32}{:>16}{:>12}{:>8}{:>9}{:>12}{:>8}"
    return "\n".join(layout.format(*line).rstrip() for line in (header, *cells(rows, epoch)))


def plot(found):
    """Return a figure of `readings`: every seed a dot, every line's mean a bar, the recipe's mean drawn through."""
    figure, axes = utils.canvas(height=3.8)
    for place, (line, values) in enumerate(found.items()):
        colour = utils.ORANGE if line.startswith("the recipe") else utils.BLUE
        reached = list(values.values())
        axes.scatter(reached, [place] * len(reached), s=28, color=colour, alpha=0.6, linewidth=0)
        axes.plot([statistics.mean(reached)] * 2, [place - 0.3, place + 0.3], color="black", linewidth=2.5)
    axes.axvline(100 * utils.TARGET_ACCURACY, color=utils.GREY, linestyle="--", linewidth=1.2, label="99.4 %")
    axes.axvline(statistics.mean(found[RECIPE].values()), color="black", linewidth=0.8, label="the recipe's mean")
    axes.set(yticks=range(len(found)), yticklabels=found, xlabel="test accuracy after epoch 15 (%), a dot a seed")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower left")
    return figure


def main():
    options = study.parser("Take the recipe apart, piece by piece, over five seeds.").parse_args()
    runs = [{"training": name, "seed": seed} for seed in range(SEEDS) for name in TRAININGS]
    rows = study.study(CSV, FIELDS, NAMES, runs, work, options.jobs, options.backend)
    for epoch in (10, 15):
        print(tell(rows, epoch))
    plot(readings(rows)).savefig(CSV.with_suffix(".png"))


if __name__ == "__main__":
    main()
