"""Is the network's confidence right? `make exp-calibration`

The test images are binned by the probability of the predicted digit, and each bin's mean probability is compared with
its accuracy: a reliability diagram (Guo et al., "On calibration of modern neural networks", 2017, section 2).
calibration.csv has one row per network: the saved one and, with `--weights FOLDER`, those that `make exp-seeds` saved
there as SEED.pt. Networks whose weights are not given keep their rows.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from scipy.stats import binomtest, norm

import plots
import utils
from experiments import results, stats
from model import WEIGHTS, load_net

EDGES = (0, 0.6, 0.8, 0.9, 0.95, 0.99, 0.999, 1)
SAVED = "saved"
DIGITS = {"mistakes": 0, "expected": 0, "count_p": 3, "spiegelhalter_z": 2, "spiegelhalter_p": 3}
DIGITS |= {"log_loss": 4, "temperature": 2, "log_loss_at_best": 4}


def confidences(logits, labels):
    """Return the probability of each predicted digit, float64 [N], and whether it is right, bool [N]."""
    probabilities = logits.cpu().double().softmax(dim=1)  # Apple's GPUs have no float64
    confidence, predicted = probabilities.max(dim=1)
    return confidence.numpy(), (predicted == labels.cpu()).numpy()


def bins(logits, labels):
    """Return a DataFrame with one row per bin of `EDGES` that has images, from logits [N, 10] and labels [N].

    `from` and `to` are in percent, the upper edge included; `images` is their number; `confidence` is the mean
    probability of the predicted digits, `accuracy` that of being right, `low` to `high` its 95% interval (Wilson,
    1927), all four in percent.
    """
    confidence, correct = confidences(logits, labels)
    images, rows = pd.DataFrame({"confidence": confidence, "correct": correct}), []
    for edges, inside in images.groupby(pd.cut(confidence, EDGES), observed=True):
        interval = binomtest(inside["correct"].sum(), len(inside)).proportion_ci(method="wilson")
        percent = 100 * np.array([edges.left, edges.right, *inside.mean(), *interval])
        rows.append([*percent, len(inside)])
    return pd.DataFrame(rows, columns=["from", "to", "confidence", "accuracy", "low", "high", "images"])


def tests(logits, labels):
    """Return how right the confidence of one network is: name → number.

    `mistakes` and those `expected` from the confidence, with the p-value of the count (exact Poisson-binomial test);
    Spiegelhalter's z and its p-value ("Probabilistic prediction in patient management and clinical trials", 1986);
    the mean `log_loss`; and the best `temperature`, by which all logits would have to be divided for the smallest log
    loss on the same images, `log_loss_at_best`.
    """
    confidence, correct = confidences(logits, labels)
    z = ((correct - confidence) * (1 - 2 * confidence)).sum()
    z /= np.sqrt(((1 - 2 * confidence) ** 2 * confidence * (1 - confidence)).sum())
    logits, labels = logits.cpu().double(), labels.cpu()

    def log_loss(temperature):
        return F.cross_entropy(logits / temperature, labels).item()

    best = minimize_scalar(log_loss, bounds=(0.2, 5), method="bounded")
    return {
        "mistakes": (~correct).sum(),
        "expected": (1 - confidence).sum(),
        "count_p": stats.poisson_binomial_p((~correct).sum(), 1 - confidence),
        "spiegelhalter_z": z,
        "spiegelhalter_p": 2 * norm.sf(abs(z)),
        "log_loss": log_loss(1),
        "temperature": best.x,
        "log_loss_at_best": best.fun,
    }


@plots.default_style
def plot(rows):
    """Return the reliability diagram of `bins`."""
    places = range(len(rows))
    figure, axes = plots.new_figure()
    axes.plot(places, rows["confidence"], "o", color=plots.BLUE, label="mean confidence")
    style = {"fmt": "s", "color": plots.ORANGE, "capsize": 4, "label": "accuracy, with its 95% interval"}
    axes.errorbar(places, rows["accuracy"], (rows[["low", "high"]].T - rows["accuracy"]).abs(), **style)
    axes.set_xticks(places, [f"{row['from']:g}–{row['to']:g}\n{row['images']:,.0f}" for _, row in rows.iterrows()])
    axes.set(xlabel="confidence (%), and number of images", ylabel="confidence, accuracy (%)")
    axes.legend(loc="lower right")
    return figure


def figures():
    """Return the `tests` of the saved network as text, and of the others: means with intervals over these networks.

    `verdict` says whether the others are overconfident, which an interval of the best temperature above 1 shows.
    """
    rows = results.read("calibration").set_index("network")
    saved, others = rows.loc[SAVED], rows.drop(SAVED)
    low, high = stats.t_interval(others["temperature"])[1:]
    verdict = "overconfident" if low > 1 else "underconfident" if high < 1 else "not significantly miscalibrated"
    return {f"saved_{name}": f"{saved[name]:.{digits}f}" for name, digits in DIGITS.items()} | {
        "networks": f"{len(others)}",
        "verdict": verdict,
        "temperature": f"{others['temperature'].mean():.2f} ({low:.2f} to {high:.2f})",
        "excess": stats.t_interval(others["mistakes"] - others["expected"]).format(1),
        "count_p_significant": f"{(others['count_p'] < 0.05).sum()}",
        "spiegelhalter_p_significant": f"{(others['spiegelhalter_p'] < 0.05).sum()}",
    }


def main():
    parser = results.parser("Compare the confidence of networks with their accuracy.")
    parser.add_argument("--weights", type=Path, help="folder with SEED.pt (default: only the saved network)")
    options = parser.parse_args()
    networks = {file.stem: file for file in sorted(options.weights.glob("*.pt"))} if options.weights else {}
    (_, test), rows = utils.load_mnist(results.ROOT / "data"), []
    for name, file in (networks | {SAVED: WEIGHTS}).items():
        logits = utils.compute_logits(load_net(file), test.images)
        rows.append({"network": name} | tests(logits, test.labels) | results.machine_columns())
    path, rows = results.path_for("calibration", options.update), pd.DataFrame(rows)
    if path.exists():
        old = pd.read_csv(path)
        rows = pd.concat([old[~old["network"].isin(rows["network"])], rows])
    rows.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    print(bins(logits, test.labels).to_string(index=False), rows.to_string(index=False), sep="\n\n")


if __name__ == "__main__":
    main()
