"""What scipy and pandas lack: estimates as text, clustered intervals, an exact test, tables.

Intervals of means are Student's. `m` simultaneous intervals hold together with 95% (Bonferroni).
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats


def fixed(value, digits, sign=""):
    """Return `value` with `digits` decimals, halves rounded away from zero: 99.4515 → "99.452"."""
    return f"{value + math.copysign(1e-9, value):{sign}.{digits}f}"


class Estimate(NamedTuple):
    """A mean and its interval."""

    mean: float
    low: float
    high: float

    @property
    def direction(self):
        """Whether the interval excludes zero: "higher", "lower" or ""."""
        return "higher" if self.low > 0 else "lower" if self.high < 0 else ""

    def format(self, digits=3):
        """Return the signed mean and, in parentheses, its interval: "+0.012 (-0.031 to +0.055)"."""
        return "{} ({} to {})".format(*(fixed(value, digits, "+") for value in self))

    def percent(self, digits=3):
        """Return a mean in percent and, in parentheses, its interval: "99.452% (99.431 to 99.472)"."""
        return "{}% ({} to {})".format(*(fixed(min(value, 100), digits) for value in self))


def t_interval(values, m=1):
    """Return the `Estimate` of the mean of `values`, two numbers or more."""
    return Estimate(np.mean(values), *stats.ttest_1samp(values, 0).confidence_interval(1 - 0.05 / m))


def compare(values, base, m=1):
    """Return the `Estimate` of the mean paired difference `values - base`, Series by seed, over the seeds in both."""
    return t_interval((values - base).dropna(), m)


def compare_means(values, base, m=1):
    """Return the `Estimate` of the mean of `values` minus that of `base`, independent numbers (Welch's t-test)."""
    test = stats.ttest_ind(values, base, equal_var=False)
    return Estimate(np.mean(values) - np.mean(base), *test.confidence_interval(1 - 0.05 / m))


def clustered_variance(values, *clusters):
    """Return the variance of the mean of `values` [N], which are alike within clusters.

    `clusters` are lists of N names, such as each value's writer; with several, values are alike if all names agree.
    This is the sandwich estimator (Liang and Zeger, "Longitudinal data analysis using generalized linear models",
    1986).
    """
    totals = pd.Series(np.asarray(values) - np.mean(values)).groupby([np.asarray(names) for names in clusters]).sum()
    return len(totals) / (len(totals) - 1) * (totals**2).sum() / len(values) ** 2


def clustered_interval(values, *clusters):
    """Return the `Estimate` of the mean of `values` [N], clustered by one or two lists of N names.

    For two, such as each value's seed and its writer, the variance is the sum of both minus that of their intersection
    (Cameron, Gelbach and Miller, "Robust inference with multiway clustering", 2011). The interval is Student's, with
    one degree of freedom less than the smaller number of clusters.
    """
    variance = sum(clustered_variance(values, names) for names in clusters)
    if len(clusters) == 2:
        variance -= clustered_variance(values, *clusters)
    freedom = min(len(np.unique(names)) for names in clusters) - 1
    mean, half = np.mean(values), stats.t.ppf(0.975, freedom) * math.sqrt(variance)
    return Estimate(mean, mean - half, mean + half)


def poisson_binomial_p(count, probabilities):
    """Return the two-sided p-value of `count` successes in independent trials with the given `probabilities`.

    It is the probability of all counts that are no more likely than `count`, as in the exact binomial test.
    """
    chance = np.ones(1)  # of 0, 1, … successes
    for p in probabilities:
        chance = np.convolve(chance, [1 - p, p])
    return float(chance[chance <= chance[count] * (1 + 1e-9)].sum())


def markdown(columns, rows):
    """Return a Markdown table of `rows`, each with one text or number per column."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in (columns, *rows)]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]])
