"""What scipy and pandas lack: estimates as text, clustered intervals, Holm's correction, an exact test, tables.

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
    """A mean, its interval, and the two-sided p-value against zero, not corrected."""

    mean: float
    low: float
    high: float
    p: float

    @property
    def excludes_zero(self):
        return self.low > 0 or self.high < 0

    def direction(self):
        return "higher" if self.mean > 0 else "lower"

    def lengths(self):
        """Return the lengths of an error bar below and above the mean, for matplotlib."""
        return [[self.mean - self.low], [self.high - self.mean]]

    def format(self, digits=3):
        """Return the signed mean and, in parentheses, its interval: "+0.012 (-0.031 to +0.055)"."""
        mean, low, high = (fixed(value, digits, "+") for value in self[:3])
        return f"{mean} ({low} to {high})"

    def percent(self, digits=3):
        """Return a mean in percent and, in parentheses, its interval: "99.452% (99.431 to 99.472)"."""
        mean, low, high = (fixed(min(value, 100), digits) for value in self[:3])
        return f"{mean}% ({low} to {high})"


def t_interval(values, m=1):
    """Return the `Estimate` of the mean of `values`, two numbers or more."""
    test = stats.ttest_1samp(values, 0)
    return Estimate(np.mean(values), *test.confidence_interval(1 - 0.05 / m), test.pvalue)


def compare(values, base, m=1):
    """Return the `Estimate` of the mean paired difference `values - base`, Series by seed, over the seeds in both."""
    differences = (values - base).dropna()
    if len(differences) < 2:
        raise ValueError(f"found {len(differences)} seeds in both; a paired difference needs at least 2")
    return t_interval(differences, m)


def compare_means(values, base, m=1):
    """Return the `Estimate` of the mean of `values` minus that of `base`, independent numbers (Welch's t-test)."""
    test = stats.ttest_ind(values, base, equal_var=False)
    return Estimate(np.mean(values) - np.mean(base), *test.confidence_interval(1 - 0.05 / m), test.pvalue)


def clustered_interval(values, *clusters):
    """Return the `Estimate` of the mean of `values` [N], which are alike within clusters, and its variance.

    `clusters` are one or two lists of N names, such as each value's writer, and its seed. The variance is the sandwich
    estimator (Liang and Zeger, "Longitudinal data analysis using generalized linear models", 1986); for two clusterings
    it is the sum of both minus that of their intersection (Cameron, Gelbach and Miller, "Robust inference with multiway
    clustering", 2011). The interval is Student's, with one degree of freedom less than the smaller number of clusters.
    """
    values = pd.Series(np.asarray(values, dtype=float))
    names = [np.asarray(cluster) for cluster in clusters]

    def variance(*groups):
        totals = (values - values.mean()).groupby(list(groups)).sum()
        return len(totals) / (len(totals) - 1) * (totals**2).sum() / len(values) ** 2

    total = sum(map(variance, names)) - (variance(*names) if len(names) == 2 else 0)
    student = stats.t(min(len(np.unique(cluster)) for cluster in names) - 1)
    mean, error = values.mean(), math.sqrt(total)
    half = student.ppf(0.975) * error
    return Estimate(mean, mean - half, mean + half, 2 * student.sf(abs(mean) / error)), total


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


def holm(p_values):
    """Return `p_values` corrected, in the same order.

    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p_values)
    corrected = np.empty(len(order))
    factors = np.arange(len(order), 0, -1)
    corrected[order] = np.maximum.accumulate(np.minimum(1, factors * np.asarray(p_values)[order]))
    return corrected.tolist()


def markdown(columns, rows):
    """Return a Markdown table of `rows`, each with one text or number per column."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in (columns, *rows)]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]])
