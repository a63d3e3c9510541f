"""How much would accuracy differ with other digits? Intervals over the writers of MNIST's test digits.

results/writers.csv has the writer of each of the 10,000 test digits, in their order, as QMNIST found them (Yadav and
Bottou, "Cold case: the lost MNIST digits", 2019; the third column of qmnist-test-labels.tsv.gz in
github.com/facebookresearch/qmnist at commit 9406136).
"""

import numpy as np
import pandas as pd

from experiments import results, runner, seeds, stats


def wrong_images(rows):
    """Return which images are misclassified after epoch 15, by seed: a DataFrame of bool, [seeds, 10,000]."""
    last = rows[rows["epoch"] == runner.EPOCHS].set_index("seed")["wrong"]
    wrong = np.zeros((len(last), 10_000), dtype=bool)
    for row, indices in zip(wrong, last, strict=True):
        row[np.array(indices.split(), dtype=int)] = True
    return pd.DataFrame(wrong, index=last.index)


def over_seeds_and_writers(rows, writers):
    """Return the `Estimate` of the mean accuracy, in percent, clustered by seed and by writer."""
    accuracy = 100 - 100 * wrong_images(rows).stack()
    seed, image = (accuracy.index.get_level_values(level) for level in (0, 1))
    return stats.clustered_interval(accuracy, seed, writers.to_numpy()[image])[0]


def figures():
    """Return the interval of the saved network's accuracy over writers, and that of the recipe, as text.

    `margin` is half the width of the saved network's interval, in percentage points. `design_effect` is its variance
    relative to that of independent digits, `by_chance` the middle 95% of what it would be if the same number of
    mistakes fell on digits at random. `most` is the largest number of mistakes on the digits of one writer.
    """
    writers, wrong = results.read("writers")["writer"], np.zeros(10_000)
    wrong[results.read("mistakes")["test_index"]] = 100
    estimate, variance = stats.clustered_interval(wrong, writers)
    shuffled = [np.random.default_rng(number).permutation(wrong) for number in range(500)]
    effects = [stats.clustered_interval(own, writers)[1] / np.var(wrong) * 10_000 for own in shuffled]
    low, high = (stats.fixed(value, 1) for value in np.percentile(effects, [2.5, 97.5]))
    rows = seeds.machine_rows("xeon_errors")
    return {
        "writers": f"{writers.nunique()}",
        "most": f"{pd.Series(wrong > 0).groupby(writers).sum().max()}",
        "margin": f"±{stats.fixed(estimate.high - estimate.mean, 2)}",
        "design_effect": stats.fixed(variance / np.var(wrong) * 10_000, 1),
        "by_chance": f"{low} to {high}",
        "seeds": f"{rows['seed'].nunique()}",
        "accuracy": over_seeds_and_writers(rows, writers).percent(),
    }
