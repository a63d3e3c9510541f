"""Is the network right as often as it is sure? `make reliability`

The test images are binned by the probability of the digit that the network answers, and each bin is compared with the
share of them that it gets right: a reliability diagram (Guo et al., "On calibration of modern neural networks", 2017,
section 2). A row a bin goes to experiments/results/calibration.csv.
"""

import itertools
from pathlib import Path

from scipy import stats

import utils
from experiments import timing as bench
from model import load_net
from reader import ROOT

CSV = Path(__file__).resolve().parent / "results" / "calibration.csv"
EDGES = (0, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 1)


def bins(logits, labels):
    """Return a dictionary for each two neighbours of `EDGES`, from `logits` [N, 10] and `labels` [N].

    `from` and `to` are in percent, the upper one included; `images` and `right` are counts; `sure` is the mean
    probability of the answers, in percent, or nothing where there is no image.
    """
    sure, predicted = logits.cpu().softmax(dim=1).max(dim=1)
    right = predicted == labels.cpu()
    rows = []
    for low, high in itertools.pairwise(EDGES):
        inside = (sure > low) & (sure <= high)
        mean = f"{100 * sure[inside].double().mean().item():.2f}" if inside.any() else ""
        row = {"from": f"{100 * low:g}", "to": f"{100 * high:g}", "images": int(inside.sum())}
        rows.append(row | {"sure": mean, "right": int(right[inside].sum())})
    return rows


def share(row):
    """Return the share of a bin's images that are right, and its 95 % interval (Wilson, 1927), three percentages."""
    found = stats.binomtest(int(row["right"]), int(row["images"]))
    interval = found.proportion_ci(method="wilson")
    return tuple(100 * value for value in (found.statistic, interval.low, interval.high))


def plot(rows):
    """Return the reliability diagram of `bins`, those that hold images."""
    rows = [row for row in rows if int(row["images"])]
    places, shares = range(len(rows)), [share(row) for row in rows]
    figure, axes = utils.canvas()
    axes.plot(places, [float(row["sure"]) for row in rows], "o", color=utils.BLUE, label="how sure, on average")
    lengths = [[middle - low for middle, low, _ in shares], [high - middle for middle, _, high in shares]]
    style = {"fmt": "s", "color": utils.ORANGE, "capsize": 4, "label": "how often right, with its 95 % interval"}
    axes.errorbar(places, [middle for middle, *_ in shares], lengths, **style)
    axes.set_xticks(places, [f"{row['from']}–{row['to']}\n{int(row['images']):,}" for row in rows])
    axes.set(xlabel="how sure the network is (%), and of how many images", ylabel="probability, and share right (%)")
    axes.legend(loc="lower right")
    return figure


def tell(rows):
    """Return the bins as the table of experiments/README.md."""
    lines = []
    for row in (row for row in rows if int(row["images"])):
        middle, low, high = share(row)
        lines.append(
            f"| {row['from']} to {row['to']} % | {int(row['images']):,} | {row['sure']} % | "
            f"{middle:.2f} % ({low:.2f} to {high:.2f}) |"
        )
    return "\n".join(lines)


def main():
    _, test = utils.load_mnist(ROOT / "data")
    rows = bins(utils.compute_logits(load_net(), test.images), test.labels)
    bench.write_rows(CSV, rows)
    print(tell(rows))


if __name__ == "__main__":
    main()
