"""The answers to the notebook's exercises. `make exp-exercises`

Each variant changes one thing in a schedule of 6 epochs, from ten seeds. One row per epoch goes to exercises.csv,
accuracies in percent; nothing is chosen by it.
"""

from torch import nn

import utils
from experiments import results, runner, stats
from model import Net, block, conv1x1, conv3x3, depthwise3x3

EPOCHS = 6


def half_net():
    """Return `Net` with half the channels in every layer except the last two."""
    return nn.Sequential(
        *block(conv3x3(1, 4), dropout=0.0),
        *block(conv3x3(4, 4), dropout=0.0),
        *block(depthwise3x3(4), conv1x1(4, 8), dropout=0.0),
        *block(depthwise3x3(8), conv1x1(8, 8), dropout=0.0),
        nn.MaxPool2d(2),
        *block(conv1x1(8, 4), dropout=0.0),
        *block(conv3x3(4, 8), dropout=0.0),
        *block(conv3x3(8, 8, padding=1), dropout=0.0),
        *block(depthwise3x3(8), conv1x1(8, 16), dropout=0.0),
        *block(depthwise3x3(16), conv1x1(16, 10), dropout=0.0),
        nn.AvgPool2d(4),
        conv1x1(10, 10),
        nn.Flatten(),
    )


# What each variant changes, as arguments of `runner.train`.
VARIANTS = {
    "the recipe": {},
    "dropout": {"make_model": lambda: Net(dropout=0.1)},
    "no augmentation": {"augment": utils.identity_affines},
    "half the channels": {"make_model": half_net},
}


def train_one(run):
    """Train one variant from one seed; return its rows."""
    return runner.train(run, epochs=EPOCHS, **VARIANTS[run["variant"]])


def accuracies(rows):
    """Return the test accuracies after the last epoch, in percent: a Series by variant and seed."""
    return rows[rows["epoch"] == EPOCHS].set_index(["variant", "seed"])["test_accuracy"].sort_index()


def answers():
    """Return the answers as text, by variant: mean and range after the last epoch, "99.41% (99.22 to 99.52)".

    VARIANT_minus is its difference from the recipe in percentage points: three simultaneous intervals, paired by seed.
    `two_seeds` has the recipe's accuracies from its first two seeds, `parameters` those of `half_net`.
    """
    runs = accuracies(results.read("exercises"))
    recipe, texts = runs["the recipe"], {"parameters": f"{sum(p.numel() for p in half_net().parameters()):,}"}
    texts |= {"seeds": f"{len(recipe)}", "two_seeds": " and ".join(f"{recipe[seed]:.2f}%" for seed in (0, 1))}
    for variant in VARIANTS:
        name, own = variant.replace(" ", "_"), runs[variant]
        texts[name] = f"{stats.fixed(own.mean(), 2)}% ({own.min():.2f} to {own.max():.2f})"
        if variant != "the recipe":
            difference = stats.compare(own, recipe, m=len(VARIANTS) - 1)
            verdict = f"significantly {difference.direction}" if difference.direction else "no significant difference"
            texts[f"{name}_minus"] = f"{difference.format(2)} points, {verdict}"
    return texts


def main():
    options = runner.parser("Train what the notebook's exercises suggest.", seeds=10).parse_args()
    runs = [{"variant": variant, "seed": seed} for seed in range(options.seeds) for variant in VARIANTS]
    path = results.path_for("exercises", options.update)
    rows = runner.run_all(path, runs, train_one, options, epochs=EPOCHS)
    print(accuracies(rows).groupby("variant").describe())


if __name__ == "__main__":
    main()
