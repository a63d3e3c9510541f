"""What scipy and pandas lack: estimates as text, Holm's correction, an exact test, Markdown tables, a forest plot.

Two runs with the same seed start with the same weights and see the images in the same order, so they are compared as a
pair. Intervals of means are Student's.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats

import plots


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

    def format(self, digits=3):
        """Return the signed mean and, in parentheses, its interval: "+0.012 (-0.031 to +0.055)"."""
        mean, low, high = (fixed(value, digits, "+") for value in self[:3])
        return f"{mean} ({low} to {high})"

    def percent(self):
        """Return a mean in percent and, in parentheses, its interval: "99.452% (99.431 to 99.472)"."""
        mean, low, high = (fixed(value, 3) for value in self[:3])
        return f"{mean}% ({low} to {high})"


def t_interval(values, level=0.95):
    """Return the `Estimate` of the mean of `values`, two numbers or more."""
    test = stats.ttest_1samp(values, 0)
    return Estimate(np.mean(values), *test.confidence_interval(level), test.pvalue)


def compare(values, base, level=0.95):
    """Return the `Estimate` of the mean paired difference `values - base`, Series by seed, over the seeds in both."""
    differences = (values - base).dropna()
    if len(differences) < 2:
        raise ValueError(f"found {len(differences)} seeds in both; a paired difference needs at least 2")
    return t_interval(differences, level)


def compare_means(values, base, level=0.95):
    """Return the `Estimate` of the mean of `values` minus that of `base`, independent numbers (Welch's t-test)."""
    test = stats.ttest_ind(values, base, equal_var=False)
    return Estimate(np.mean(values) - np.mean(base), *test.confidence_interval(level), test.pvalue)


def deviation_interval(values, level=0.95):
    """Return the standard deviation of `values` and its interval (chi-squared), three numbers."""
    deviation, freedom = np.std(values, ddof=1), len(values) - 1
    return deviation, *(deviation * np.sqrt(freedom / stats.chi2(freedom).ppf([(1 + level) / 2, (1 - level) / 2])))


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
    """Return `p_values` corrected by Holm's method, in the same order.

    Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    order = np.argsort(p_values)
    factors = np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.maximum.accumulate(np.minimum(1, factors * np.asarray(p_values)[order]))
    return corrected.tolist()


def markdown(columns, rows):
    """Return a Markdown table of `rows`, each with one text or number per column."""
    lines = [f"| {' | '.join(map(str, row))} |" for row in (columns, *rows)]
    return "\n".join([lines[0], "|---" * len(columns) + "|", *lines[1:]])


def difference_table(accuracy, loss):
    """Return differences in `accuracy`, in points, and `loss`, in nats, name → `Estimate`, as a Markdown table.

    The result is decided by the intervals. The p-values are corrected by Holm's method over all of them.
    """
    p_values = holm([estimate.p for estimate in [*accuracy.values(), *loss.values()]])
    rows = []
    for place, name in enumerate(accuracy):
        higher_or_lower = [
            f"{metric} {'higher' if estimate.mean > 0 else 'lower'}"
            for metric, estimate in (("accuracy", accuracy[name]), ("loss", loss[name]))
            if estimate.excludes_zero
        ]
        rows.append(
            (
                name,
                accuracy[name].format(3),
                f"{p_values[place]:.4f}",
                loss[name].format(5),
                f"{p_values[len(accuracy) + place]:.4f}",
                ", ".join(higher_or_lower) or "no significant difference",
            )
        )
    return markdown(("change", "accuracy (interval)", "p", "loss (interval)", "p", "result"), rows)


@plots.default_style
def forest_plot(panels):
    """Return a forest plot with one panel per label in `panels`, label → name → `Estimate`, below each other.

    An interval that excludes zero is orange and has a filled mark.
    """
    names = list(next(iter(panels.values())))
    figure, axes = plots.new_figure(1, len(panels), height=1.2 + 0.42 * len(names), sharey=True, squeeze=False)
    for panel, (label, estimates) in zip(axes[0], panels.items(), strict=True):
        for place, (mean, low, high, _) in enumerate(estimates.values()):
            colour, fill = (plots.ORANGE, "full") if low > 0 or high < 0 else (plots.BLUE, "none")
            lengths = [[mean - low], [high - mean]]
            panel.errorbar(mean, place, xerr=lengths, fmt="s", color=colour, fillstyle=fill, capsize=4)
        panel.axvline(0, color="black", linewidth=1)
        panel.set(xlabel=label, yticks=range(len(names)), yticklabels=names)
        panel.locator_params(axis="x", nbins=6)
        panel.grid(axis="x", alpha=0.3)
    axes[0][0].set_ylim(len(names) - 0.5, -0.5)
    return figure
