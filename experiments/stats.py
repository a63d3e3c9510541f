"""Differences between two ways of training, paired by seed: their intervals, corrected p-values, and a forest plot.

Two runs from one seed begin with the same weights and see the images in the same order, so what a seed does to both of
them falls out of their difference. The interval is Student's; several are made simultaneous by Bonferroni's level, and
their p-values are corrected by Holm's method ("A simple sequentially rejective multiple test procedure", 1979).
"""

import math
import statistics
from typing import NamedTuple

from scipy import stats

import utils

NOTHING = "no difference was found"


class Difference(NamedTuple):
    """The mean of the paired differences, its interval, the uncorrected two-sided p-value, and how many pairs."""

    mean: float
    low: float
    high: float
    p: float
    pairs: int

    @property
    def is_shown(self):
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0

    def tell(self, digits):
        """Return the mean and, in parentheses, its interval, with so many digits behind the point."""
        return f"{self.mean:+.{digits}f} ({self.low:+.{digits}f} to {self.high:+.{digits}f})"


def mean(values, level=0.95):
    """Return the `Difference` of the mean of `values`, two numbers or more, to zero, with its interval at `level`."""
    middle, freedom = statistics.mean(values), len(values) - 1
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = error * stats.t.ppf((1 + level) / 2, freedom)
    p = 2 * stats.t.sf(abs(middle) / error, freedom) if error else float(middle == 0)
    return Difference(middle, middle - half, middle + half, float(p), len(values))


def compare(values, base, level=0.95):
    """Return the `Difference` of `values` less `base`, dictionaries from seed to a number, over the seeds of both."""
    differences = [values[seed] - base[seed] for seed in sorted(values) if seed in base]
    if len(differences) < 2:
        raise ValueError(f"{len(differences)} seeds have both values; a difference needs two or more")
    return mean(differences, level)


def simultaneous(m, level=0.95):
    """Return the level that each of `m` intervals needs so that all of them hold together with `level` (Bonferroni)."""
    return 1 - (1 - level) / m


def holm(p_values):
    """Return `p_values`, a list, corrected for their number by Holm's method, in the same order."""
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = worst
    return corrected


def verdict(accuracy, loss):
    """Return in words what two `Difference`s show: which leaves zero out, and to which side."""
    shown = {name: own for name, own in (("accuracy", accuracy), ("loss", loss)) if own.is_shown}
    return ", ".join(f"{name} {'higher' if own.mean > 0 else 'lower'}" for name, own in shown.items()) or NOTHING


def tell(found):
    """Return `Difference`s, metric → line → difference, as a table in Markdown: mean (interval), Holm's p, verdict.

    The metrics are "accuracy", in percentage points, and "loss", in nats. The p-values are corrected over all of them.
    """
    corrected = iter(holm([own.p for metric in ("accuracy", "loss") for own in found[metric].values()]))
    p_values = {metric: [next(corrected) for _ in found[metric]] for metric in ("accuracy", "loss")}
    lines = []
    for place, (line, accuracy) in enumerate(found["accuracy"].items()):
        loss = found["loss"][line]
        lines.append(
            f"| {line} | {accuracy.tell(3)} | {p_values['accuracy'][place]:.4f} "
            f"| {loss.tell(5)} | {p_values['loss'][place]:.4f} | {verdict(accuracy, loss)} |"
        )
    return "\n".join(lines)


def forest(panels):
    """Return a forest plot: a panel for each label in `panels`, which maps it to a dictionary line → `Difference`.

    Every line of a panel has its mean and interval, in orange where the interval leaves zero out; zero is marked.
    """
    lines = list(next(iter(panels.values())))
    figure, axes = utils.canvas(1, len(panels), height=1.2 + 0.42 * len(lines), sharey=True, squeeze=False)
    for cell, (label, found) in zip(axes[0], panels.items(), strict=True):
        for place, difference in enumerate(found.values()):
            colour = utils.ORANGE if difference.is_shown else utils.BLUE
            lengths = [[difference.mean - difference.low], [difference.high - difference.mean]]
            cell.errorbar(difference.mean, place, xerr=lengths, fmt="s", color=colour, capsize=4)
        cell.axvline(0, color="black", linewidth=1)
        cell.set(xlabel=label, yticks=range(len(lines)), yticklabels=lines)
        cell.locator_params(axis="x", nbins=6)
        cell.grid(axis="x", alpha=0.3)
    axes[0][0].set_ylim(len(lines) - 0.5, -0.5)
    return figure
