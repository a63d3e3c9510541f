"""Is the network's confidence right? `make exp-calibration`

The test images are binned by the probability of the predicted digit, and each bin's mean probability is compared with
its accuracy: a reliability diagram (Guo et al., "On calibration of modern neural networks", 2017, section 2).
calibration.csv has one row per bin, then one for all images.
"""

import itertools

import pandas as pd
from scipy.stats import binomtest

import plots
import utils
from experiments import results, runner, stats
from model import load_net

EDGES = (0, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 1)


def bins(logits, labels):
    """Return a DataFrame with one row per bin of `EDGES`, and one for all images, from logits [N, 10] and labels [N].

    `from` and `to` are in percent, the upper edge included; `images` and `correct` are counts; `confidence` is the mean
    probability of the predicted digits, in percent, or NaN if there is no image. In the last row, `p_value` is that of
    the number of mistakes, if every image were correct with exactly its own probability.
    """
    confidence, predicted = logits.cpu().double().softmax(dim=1).max(dim=1)
    correct = predicted == labels.cpu()
    rows = []
    for low, high in [*itertools.pairwise(EDGES), (0, 1)]:
        inside = (confidence > low) & (confidence <= high)
        row = {"from": round(100 * low, 1), "to": round(100 * high, 1), "images": int(inside.sum())}
        row |= {"confidence": 100 * confidence[inside].mean().item(), "correct": int(correct[inside].sum())}
        rows.append(row)
    rows[-1]["p_value"] = stats.poisson_binomial_p(int((~correct).sum()), (1 - confidence).tolist())
    return pd.DataFrame(rows)


def accuracies(rows):
    """Return the accuracy of each of `bins` and its 95% interval (Wilson, 1927), in percent, and their confidence.

    Empty bins and the row of all images are left out.
    """
    rows = rows[:-1].query("images > 0")
    tests = [binomtest(correct, images) for correct, images in zip(rows["correct"], rows["images"], strict=True)]
    return rows.assign(
        accuracy=[100 * test.statistic for test in tests],
        low=[100 * test.proportion_ci(method="wilson").low for test in tests],
        high=[100 * test.proportion_ci(method="wilson").high for test in tests],
    )


@plots.default_style
def plot(rows):
    """Return the reliability diagram of `bins`, without empty bins."""
    rows = accuracies(rows)
    places = range(len(rows))
    figure, axes = plots.new_figure()
    axes.plot(places, rows["confidence"], "o", color=plots.BLUE, label="mean confidence")
    lengths = [rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]]
    style = {"fmt": "s", "color": plots.ORANGE, "capsize": 4, "label": "accuracy, with its 95% interval"}
    axes.errorbar(places, rows["accuracy"], lengths, **style)
    names = [
        f"{low:g}–{high:g}\n{images:,}"
        for low, high, images in zip(rows["from"], rows["to"], rows["images"], strict=True)
    ]
    axes.set_xticks(places, names)
    axes.set(xlabel="confidence (%), and number of images", ylabel="confidence, accuracy (%)")
    axes.legend(loc="lower right")
    return figure


def sentence():
    """Return how many mistakes there are, how many the confidence predicts, and which groups deviate."""
    rows = results.read("calibration")
    groups, total = accuracies(rows), rows.to_dict("records")[-1]
    inside = groups["confidence"].between(groups["low"], groups["high"])
    names = [f"{row['from']:g} to {row['to']:g}%" for _, row in groups[~inside].iterrows()]
    mistakes, expected = total["images"] - total["correct"], total["images"] * (1 - total["confidence"] / 100)
    return (
        f"over all {total['images']:,} images, the confidence predicts {expected:.0f} mistakes, and the network makes "
        f"{mistakes} (p = {total['p_value']:.3f}, exact two-sided Poisson-binomial test). The interval excludes "
        f"the mean confidence in {len(names)} of {len(groups)} groups{': ' * bool(names)}{', '.join(names)}"
    )


def digits_margin():
    accuracy = 1 - len(results.read("mistakes")) / 10_000
    return f"±{stats.fixed(196 * (accuracy * (1 - accuracy) / 10_000) ** 0.5, 2)}"


def main():
    options = results.parser("Compare the saved network's confidence with its accuracy.").parse_args()
    _, test = runner.load_splits()
    rows = bins(utils.compute_logits(load_net(), test.images), test.labels)
    rows.to_csv(results.path_for("calibration", options.update), index=False, float_format="%.4f", lineterminator="\n")
    print(rows.to_string(index=False))


if __name__ == "__main__":
    main()
