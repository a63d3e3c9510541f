"""stats.py against values worked out elsewhere or by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from experiments import stats

# Student's own example ("The probable error of a mean", 1908, section IX): hours of sleep gained with two drugs.
FIRST = pd.Series([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SECOND = pd.Series([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_compare_is_students_paired_test_over_the_seeds_in_both():
    estimate = stats.compare(SECOND.sample(frac=1, random_state=0), pd.concat([FIRST, pd.Series([100.0], [77])]))
    assert estimate[:3] == pytest.approx((1.58, 0.7001, 2.4599), abs=1e-4)
    assert estimate.p == pytest.approx(0.002833, abs=1e-6)
    assert estimate.excludes_zero
    assert estimate.format(2) == "+1.58 (+0.70 to +2.46)"
    with pytest.raises(ValueError, match="1 seeds in both"):
        stats.compare(SECOND, FIRST[:1])


def test_compare_means_is_welchs_test():
    """R's help page of t.test has this result for Student's data."""
    estimate = stats.compare_means(FIRST, SECOND)
    assert estimate == pytest.approx((-1.58, -3.3655, 0.2055, 0.07939), abs=1e-4)
    assert not estimate.excludes_zero


def test_fixed_rounds_halves_away_from_zero():
    assert [stats.fixed(value, 3) for value in (99.4515, -0.0005, 0.0004)] == ["99.452", "-0.001", "0.000"]


def test_holm_corrects_as_in_his_paper():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.6, 0.5]) == [1.0, 1.0]


def test_clustered_interval_of_single_values_is_students():
    estimate, _ = stats.clustered_interval(FIRST, range(10))
    assert estimate == pytest.approx(stats.t_interval(FIRST))


def test_values_that_only_repeat_their_cluster_add_nothing():
    """Every value ten times: the interval over the clusters stays that of ten values, to 9 degrees of freedom."""
    estimate, _ = stats.clustered_interval(list(FIRST) * 10, list(range(10)) * 10)
    assert estimate == pytest.approx(stats.t_interval(FIRST))


def test_two_clusterings_add_their_variances():
    """A row effect plus a column effect: the variance of the mean is that of both means; no interaction is left."""
    table = FIRST.to_numpy()[:, None] + SECOND.to_numpy()[None, :]
    row, column = (names.ravel() for names in np.indices(table.shape))
    estimate, variance = stats.clustered_interval(table.ravel(), row, column)
    both = FIRST.var() / 10 + SECOND.var() / 10
    assert variance == pytest.approx(both, rel=0.1)  # less that of the cells, a tenth of it
    assert estimate.high - estimate.mean == pytest.approx(2.2622 * variance**0.5, rel=1e-4)  # Student's t, 9 degrees


def test_poisson_binomial_p_of_equal_probabilities_is_that_of_the_binomial_test():
    for count in (0, 4, 9):
        expected = scipy_stats.binomtest(count, 20, 0.2).pvalue
        assert stats.poisson_binomial_p(count, [0.2] * 20) == pytest.approx(expected)
    assert stats.poisson_binomial_p(3, [1.0, 0.5, 0.5]) == pytest.approx(0.5)  # of 1, 2, 3: 1/4, 1/2, 1/4
