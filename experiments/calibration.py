"""Is the network's confidence right? And how many of its mistakes are label errors? `make exp-calibration`

The test images are binned by the probability of the predicted digit, and each bin's mean probability is compared with
its accuracy: a reliability diagram (Guo et al., "On calibration of modern neural networks", 2017, section 2).
results/calibration.csv has one row per bin, then one for all images; results/mistakes.csv lists the mistakes.

results/label_votes.csv lists the test images whose label fewer than three of five human raters confirmed. It is from
Northcutt, Athalye and Mueller, "Pervasive label errors in test sets destabilize machine learning benchmarks", 2021
(https://labelerrors.com). The raters chose between the label, one proposed label, both and neither.
"""

import itertools
import math

from scipy.stats import binomtest

import plots
import utils
from experiments import RESULTS, ROOT, stats, timing
from model import load_net

CSV = RESULTS / "calibration.csv"
MISTAKES_CSV = RESULTS / "mistakes.csv"
VOTES_CSV = RESULTS / "label_votes.csv"
TEST_IMAGES = 10_000
EDGES = (0, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 1)

# --- Calibration -----------------------------------------------------------------------------------------------------


def bins(logits, labels):
    """Return one row per bin of `EDGES`, and one for all images, from `logits` [N, 10] and `labels` [N].

    `from` and `to` are in percent, the upper edge included; `images` and `correct` are counts; `confidence` is the mean
    probability of the predicted digits, in percent, or empty if there is no image. In the last row, `p_value` is that
    of the number of mistakes, if every image were correct with exactly its own probability.
    """
    confidence, predicted = logits.double().cpu().softmax(dim=1).max(dim=1)
    correct = predicted == labels.cpu()
    rows = []
    for low, high in [*itertools.pairwise(EDGES), (0, 1)]:
        inside = (confidence > low) & (confidence <= high)
        mean = f"{100 * confidence[inside].mean().item():.4f}" if inside.any() else ""
        row = {"from": f"{100 * low:g}", "to": f"{100 * high:g}", "images": int(inside.sum())}
        rows.append(row | {"confidence": mean, "correct": int(correct[inside].sum()), "p_value": ""})
    mistakes = int((~correct).sum())
    rows[-1]["p_value"] = f"{stats.poisson_binomial_p(mistakes, (1 - confidence).tolist()):.3f}"
    return rows


def filled(rows):
    """Return those of `bins` that have images, without the row of all images."""
    return [row for row in rows[:-1] if int(row["images"])]


def accuracy(row):
    """Return a bin's accuracy and its 95% interval (Wilson, 1927), three percentages."""
    found = binomtest(int(row["correct"]), int(row["images"]))
    interval = found.proportion_ci(method="wilson")
    return tuple(100 * value for value in (found.statistic, interval.low, interval.high))


@plots.own_style
def plot(rows):
    """Return the reliability diagram of `bins`, without empty bins."""
    rows = filled(rows)
    places, accuracies = range(len(rows)), [accuracy(row) for row in rows]
    figure, axes = plots.new_figure()
    axes.plot(places, [float(row["confidence"]) for row in rows], "o", color=plots.BLUE, label="mean confidence")
    lengths = [[middle - low for middle, low, _ in accuracies], [high - middle for middle, _, high in accuracies]]
    style = {"fmt": "s", "color": plots.ORANGE, "capsize": 4, "label": "accuracy, with its 95% interval"}
    axes.errorbar(places, [middle for middle, *_ in accuracies], lengths, **style)
    axes.set_xticks(places, [f"{row['from']}–{row['to']}\n{int(row['images']):,}" for row in rows])
    axes.set(xlabel="confidence (%), and number of images", ylabel="confidence, accuracy (%)")
    axes.legend(loc="lower right")
    return figure


def sentence():
    """Return how many mistakes there are, how many the confidence predicts, and which groups deviate."""
    rows = timing.read(CSV)
    groups, total, outside = filled(rows), rows[-1], []
    for row in groups:
        _, low, high = accuracy(row)
        if not low <= float(row["confidence"]) <= high:
            outside.append(f"{row['from']} to {row['to']}%")
    images = int(total["images"])
    mistakes, expected = images - int(total["correct"]), images * (1 - float(total["confidence"]) / 100)
    return (
        f"over all {images:,} images, the confidence predicts {expected:.0f} mistakes, and the network makes "
        f"{mistakes} (p = {float(total['p_value']):.3f}, exact two-sided Poisson-binomial test). The interval excludes "
        f"the mean confidence in {len(outside)} of {len(groups)} groups{': ' * bool(outside)}{', '.join(outside)}"
    )


# --- Mistakes --------------------------------------------------------------------------------------------------------


def mistakes(logits, labels):
    """Return one row per misclassified image: index, label, predicted digit, confidence in percent."""
    confidence, predicted = logits.double().cpu().softmax(dim=1).max(dim=1)
    labels = labels.cpu()
    return [
        {
            "test_index": i,
            "label": int(labels[i]),
            "predicted": int(predicted[i]),
            "confidence": f"{100 * confidence[i]:.2f}",
        }
        for i in (predicted != labels).nonzero()[:, 0].tolist()
    ]


def read_votes():
    """Return the index of each test image with a doubtful label → how many of five raters confirmed the label."""
    return {int(row["test_index"]): int(row["votes_for_label"]) for row in timing.read(VOTES_CSV)}


def label_errors():
    """Return how many of the saved network's mistakes have a doubtful label, as strings: name → text.

    `images` have a doubtful label, `doubtful` of the `mistakes` are among them, and `accuracy_without` is the accuracy
    on all other images.
    """
    votes, wrong = read_votes(), [int(row["test_index"]) for row in timing.read(MISTAKES_CSV)]
    doubtful, n = sum(i in votes for i in wrong), TEST_IMAGES
    return {
        "images": f"{len(votes)}",
        "mistakes": f"{len(wrong)}",
        "doubtful": f"{doubtful}",
        "accuracy": f"{stats.fixed(100 * (1 - len(wrong) / n), 2)}%",
        "accuracy_without": f"{stats.fixed(100 * (1 - (len(wrong) - doubtful) / (n - len(votes))), 2)}%",
    }


def digits_margin():
    """Return half the width of the 95% interval of the saved network's accuracy (binomial), in percentage points."""
    accuracy = 1 - len(timing.read(MISTAKES_CSV)) / TEST_IMAGES
    return f"±{stats.fixed(196 * math.sqrt(accuracy * (1 - accuracy) / TEST_IMAGES), 2)}"


def main():
    _, test = utils.load_mnist(ROOT / "data")
    logits = utils.compute_logits(load_net(), test.images)
    timing.write_rows(CSV, bins(logits, test.labels))
    timing.write_rows(MISTAKES_CSV, mistakes(logits, test.labels))
    print(sentence())
    print(label_errors())


if __name__ == "__main__":
    main()
