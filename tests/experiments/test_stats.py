"""stats.py against values from the literature or worked out by hand."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from experiments import stats

# Student's own example ("The probable error of a mean", 1908, section IX): hours of sleep gained with two drugs.
FIRST = pd.Series([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SECOND = pd.Series([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_compare_is_students_paired_test_over_the_seeds_in_both():
    estimate = stats.compare(SECOND.sample(frac=1, random_state=0), pd.concat([FIRST, pd.Series([100.0], [77])]))
    assert estimate == pytest.approx((1.58, 0.7001, 2.4599), abs=1e-4)


def test_compare_means_is_welchs_test():
    """R's help page of t.test has this result for Student's data."""
    assert stats.compare_means(FIRST, SECOND) == pytest.approx((-1.58, -3.3655, 0.2055), abs=1e-4)


def test_fixed_rounds_halves_away_from_zero():
    assert [stats.fixed(value, 3) for value in (99.4515, -0.0005, 0.0004)] == ["99.452", "-0.001", "0.000"]


def test_poisson_binomial_p_against_all_outcomes():
    chances = [0.1, 0.25, 0.4, 0.85]
    count_chances = [0.0] * 5
    for outcome in itertools.product([0, 1], repeat=4):
        count_chances[sum(outcome)] += math.prod(p if hit else 1 - p for p, hit in zip(chances, outcome, strict=True))
    expected = [sum(chance for chance in count_chances if chance <= own * (1 + 1e-7)) for own in count_chances]
    assert [stats.poisson_binomial_p(count, chances) for count in range(5)] == pytest.approx(expected)


def test_values_that_only_repeat_their_cluster_add_nothing():
    """Every value ten times: the interval over the clusters stays Student's of ten values."""
    assert stats.clustered_interval(list(FIRST) * 10, list(range(10)) * 10) == pytest.approx(stats.t_interval(FIRST))


def test_two_clusterings_add_their_variances():
    """A row effect plus a column effect: the variance of both means, less that of the cells, a tenth of it."""
    table = FIRST.to_numpy()[:, None] + SECOND.to_numpy()[None, :]
    row, column = (names.ravel() for names in np.indices(table.shape))
    estimate = stats.clustered_interval(table.ravel(), row, column)
    variance = (FIRST.var() + SECOND.var()) / 10 * 0.91
    assert estimate.high - estimate.mean == pytest.approx(2.2622 * variance**0.5, rel=0.005)  # t, 9 degrees of freedom
