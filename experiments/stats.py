"""Means, paired differences and counts with their intervals, corrected p-values, and a forest plot.

Two runs with the same seed start with the same weights and see the images in the same order, so that what the seed does
to both cancels in their difference. Intervals of means are Student's. Several are made simultaneous by Bonferroni's
correction, and their p-values are corrected by Holm's method ("A simple sequentially rejective multiple test
procedure", 1979).
"""

import math
import statistics
from typing import NamedTuple

import numpy as np
from scipy import stats

import plots

NO_DIFFERENCE = "no significant difference"


def fixed(value, digits, sign=""):
    """Return `value` with `digits` decimals, halves rounded away from zero: 99.4515 → "99.452"."""
    return f"{value + math.copysign(1e-9, value):{sign}.{digits}f}"


class Estimate(NamedTuple):
    """A mean, its interval, the two-sided p-value against zero (not corrected), and how many values it is made of."""

    mean: float
    low: float
    high: float
    p: float
    n: int

    @property
    def excludes_zero(self):
        return self.low > 0 or self.high < 0

    def format(self, digits):
        """Return the signed mean and, in parentheses, its interval, to `digits` decimals."""
        mean, low, high = (fixed(value, digits, "+") for value in self[:3])
        return f"{mean} ({low} to {high})"

    def percent(self):
        """Return a mean in percent and, in parentheses, its interval."""
        mean, low, high = (fixed(value, 3) for value in self[:3])
        return f"{mean}% ({low} to {high})"


def t_interval(values, level=0.95):
    """Return the `Estimate` of the mean of `values`, two numbers or more, with its interval at `level`."""
    mean, freedom = statistics.mean(values), len(values) - 1
    error = statistics.stdev(values) / math.sqrt(len(values))
    half = error * float(stats.t.ppf((1 + level) / 2, freedom))
    p = 2 * stats.t.sf(abs(mean) / error, freedom) if error else float(mean == 0)
    return Estimate(mean, mean - half, mean + half, float(p), len(values))


def compare(values, base, level=0.95):
    """Return the `Estimate` of `values` minus `base`, dictionaries from seed to a number, over the seeds in both."""
    differences = [values[seed] - base[seed] for seed in sorted(values) if seed in base]
    if len(differences) < 2:
        raise ValueError(f"found {len(differences)} seeds in both; a paired difference needs at least 2")
    return t_interval(differences, level)


def compare_means(values, base, level=0.95):
    """Return the `Estimate` of the mean of `values` minus that of `base`, independent numbers (Welch's t-test).

    Its `n` is the number of `values`.
    """
    found = stats.ttest_ind(values, base, equal_var=False)
    low, high = found.confidence_interval(level)
    return Estimate(
        statistics.mean(values) - statistics.mean(base), float(low), float(high), float(found.pvalue), len(values)
    )


def deviation_interval(values, level=0.95):
    """Return the standard deviation of `values` and its interval (chi-squared)."""
    deviation, freedom = statistics.stdev(values), len(values) - 1
    ends = (float(stats.chi2.ppf(q, freedom)) for q in ((1 + level) / 2, (1 - level) / 2))
    return deviation, *(deviation * math.sqrt(freedom / end) for end in ends)


def count_interval(count, n, level=0.95):
    """Return the interval of a probability of which `count` of `n` trials succeeded (Clopper and Pearson, 1934)."""
    interval = stats.binomtest(count, n).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)


def poisson_binomial_p(count, probabilities):
    """Return the two-sided p-value of `count` successes in independent trials with the given `probabilities`.

    It is the probability of all counts that are no more likely than `count`, as in the exact binomial test.
    """
    chance = np.zeros(len(probabilities) + 1)  # of 0, 1, … successes
    chance[0] = 1
    for p in probabilities:
        chance[1:] = chance[1:] * (1 - p) + chance[:-1] * p
        chance[0] *= 1 - p
    return float(chance[chance <= chance[count] * (1 + 1e-9)].sum())


def bonferroni_level(m, level=0.95):
    """Return the level that each of `m` intervals needs so that all hold together with `level`."""
    return 1 - (1 - level) / m


def holm(p_values):
    """Return the list `p_values`, corrected for its length by Holm's method, in the same order."""
    corrected, worst = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        corrected[i] = worst
    return corrected


def verdict(accuracy, loss):
    """Return in words which of two `Estimate`s of differences exclude zero, and on which side."""
    significant = {name: own for name, own in (("accuracy", accuracy), ("loss", loss)) if own.excludes_zero}
    return ", ".join(f"{name} {'higher' if own.mean > 0 else 'lower'}" for name, own in significant.items()) or (
        NO_DIFFERENCE
    )


def table(found):
    """Return differences, metric → configuration → `Estimate`, as a Markdown table.

    The metrics are "accuracy", in percentage points, and "loss", in nats. The result is decided by the intervals; the
    p-values are corrected by Holm's method over all of them.
    """
    corrected = iter(holm([own.p for metric in ("accuracy", "loss") for own in found[metric].values()]))
    p_values = {metric: [next(corrected) for _ in found[metric]] for metric in ("accuracy", "loss")}
    lines = ["| change | accuracy (interval) | p | loss (interval) | p | result |", "|---|---|---|---|---|---|"]
    for place, (name, accuracy) in enumerate(found["accuracy"].items()):
        loss = found["loss"][name]
        lines.append(
            f"| {name} | {accuracy.format(3)} | {p_values['accuracy'][place]:.4f} "
            f"| {loss.format(5)} | {p_values['loss'][place]:.4f} | {verdict(accuracy, loss)} |"
        )
    return "\n".join(lines)


@plots.own_style
def forest_plot(panels):
    """Return a forest plot with one panel per label in `panels`, label → configuration → `Estimate`.

    An interval that excludes zero is orange and has a filled mark.
    """
    names = list(next(iter(panels.values())))
    figure, axes = plots.new_figure(1, len(panels), height=1.2 + 0.42 * len(names), sharey=True, squeeze=False)
    for cell, (label, found) in zip(axes[0], panels.items(), strict=True):
        for place, own in enumerate(found.values()):
            colour, fill = (plots.ORANGE, "full") if own.excludes_zero else (plots.BLUE, "none")
            lengths = [[own.mean - own.low], [own.high - own.mean]]
            cell.errorbar(own.mean, place, xerr=lengths, fmt="s", color=colour, fillstyle=fill, capsize=4)
        cell.axvline(0, color="black", linewidth=1)
        cell.set(xlabel=label, yticks=range(len(names)), yticklabels=names)
        cell.locator_params(axis="x", nbins=6)
        cell.grid(axis="x", alpha=0.3)
    axes[0][0].set_ylim(len(names) - 0.5, -0.5)
    return figure
