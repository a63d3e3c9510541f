"""How much would accuracy differ with other digits? Intervals over the writers of MNIST's test digits.

results/writers.csv has the writer of each of the 10,000 test digits, in their order, as QMNIST found them (Yadav and
Bottou, "Cold case: the lost MNIST digits", 2019; the third column of qmnist-test-labels.tsv.gz in
github.com/facebookresearch/qmnist at commit 9406136).
"""

import numpy as np

import utils
from experiments import results, runner, stats


def over_seeds_and_writers(rows, writers):
    """Return the `Estimate` of the mean accuracy after epoch 15, in percent, clustered by seed and by writer.

    `rows` are those of experiments/seeds.py, `writers` has the writer of each test digit.
    """
    last = rows[rows["epoch"] == runner.EPOCHS]
    right = np.full((len(last), len(writers)), 100)
    for row, wrong in zip(right, last["wrong"], strict=True):
        row[np.array(wrong.split(), dtype=int)] = 0
    seed, image = np.indices(right.shape)
    return stats.clustered_interval(right.ravel(), seed.ravel(), np.asarray(writers)[image.ravel()])


def figures():
    """Return the interval of the saved network's accuracy over writers, and that of the recipe, as text.

    `margin` is half the width of the saved network's interval, in percentage points. `design_effect` is its variance
    relative to that of independent digits, `by_chance` the middle 95% of what it would be if the same number of
    mistakes fell on digits at random. `most` is the largest number of mistakes on the digits of one writer. `includes`
    says whether the interval over seeds and writers includes the target.
    """
    writers, rows = results.read("writers")["writer"], results.read("seeds_xeon_errors")
    wrong = writers.index.isin(results.read("mistakes")["test_index"])
    error = stats.clustered_interval(100 * wrong, writers)

    def design_effect(wrong):
        return stats.clustered_variance(wrong, writers) / np.var(wrong) * len(wrong)

    shuffled = [design_effect(np.random.default_rng(number).permutation(wrong)) for number in range(500)]
    recipe = over_seeds_and_writers(rows, writers)
    low, high = (stats.fixed(value, 1) for value in np.percentile(shuffled, [2.5, 97.5]))
    return {
        "writers": f"{writers.nunique()}",
        "most": f"{writers[wrong].value_counts().max()}",
        "margin": f"±{stats.fixed(error.high - error.mean, 2)}",
        "design_effect": stats.fixed(design_effect(wrong), 1),
        "by_chance": f"{low} to {high}",
        "seeds": f"{rows['seed'].nunique()}",
        "accuracy": recipe.percent(),
        "includes": "includes" if recipe.low <= 100 * utils.TARGET_ACCURACY <= recipe.high else "excludes",
    }
