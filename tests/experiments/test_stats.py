"""stats.py, writers.py and unseen_pictures.py against values worked out elsewhere or by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from experiments import results, stats, unseen_pictures, writers

# Student's own example ("The probable error of a mean", 1908, section IX): hours of sleep gained with two drugs.
FIRST = pd.Series([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
SECOND = pd.Series([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_compare_is_students_paired_test_over_the_seeds_in_both():
    estimate = stats.compare(SECOND.sample(frac=1, random_state=0), pd.concat([FIRST, pd.Series([100.0], [77])]))
    assert estimate == pytest.approx((1.58, 0.7001, 2.4599, 0.002833), abs=1e-4)
    assert estimate.format(2) == "+1.58 (+0.70 to +2.46)"
    with pytest.raises(ValueError, match="1 seeds in both"):
        stats.compare(SECOND, FIRST[:1])


def test_compare_means_is_welchs_test():
    """R's help page of t.test has this result for Student's data."""
    assert stats.compare_means(FIRST, SECOND) == pytest.approx((-1.58, -3.3655, 0.2055, 0.07939), abs=1e-4)


def test_fixed_rounds_halves_away_from_zero():
    assert [stats.fixed(value, 3) for value in (99.4515, -0.0005, 0.0004)] == ["99.452", "-0.001", "0.000"]


def test_holm_corrects_as_in_his_paper():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.6, 0.5]) == [1.0, 1.0]


def test_poisson_binomial_p_of_equal_probabilities_is_that_of_the_binomial_test():
    expected = [scipy_stats.binomtest(count, 20, 0.2).pvalue for count in (0, 4, 9)]
    assert [stats.poisson_binomial_p(count, [0.2] * 20) for count in (0, 4, 9)] == pytest.approx(expected)
    assert stats.poisson_binomial_p(3, [1.0, 0.5, 0.5]) == pytest.approx(0.5)  # of 1, 2, 3: 1/4, 1/2, 1/4


def test_values_that_only_repeat_their_cluster_add_nothing():
    """Every value ten times: the interval over the clusters stays Student's of ten values."""
    estimate, _ = stats.clustered_interval(list(FIRST) * 10, list(range(10)) * 10)
    assert estimate == pytest.approx(stats.t_interval(FIRST))


def test_two_clusterings_add_their_variances():
    """A row effect plus a column effect: the variance of both means, less that of the cells, a tenth of it."""
    table = FIRST.to_numpy()[:, None] + SECOND.to_numpy()[None, :]
    row, column = (names.ravel() for names in np.indices(table.shape))
    estimate, variance = stats.clustered_interval(table.ravel(), row, column)
    assert variance == pytest.approx((FIRST.var() + SECOND.var()) / 10 * 0.91, rel=0.01)
    assert estimate.high - estimate.mean == pytest.approx(2.2622 * variance**0.5, rel=1e-4)  # t, 9 degrees of freedom


def test_wrong_images_are_those_after_epoch_15():
    rows = pd.DataFrame({"seed": [3, 3, 4], "epoch": [14, 15, 15], "wrong": ["7", "0 9999", "5"]})
    wrong = writers.wrong_images(rows)
    assert [row.nonzero()[0].tolist() for row in wrong.to_numpy()] == [[0, 9999], [5]]


def test_writers_follow_the_order_of_the_test_set():
    """The first 5,001 are by employees of the census bureau, numbered from 2,000, the others by pupils."""
    numbers = results.read("writers")["writer"]
    assert (len(numbers), numbers.nunique()) == (10_000, 297)
    assert ((numbers >= 2000) == (np.arange(10_000) <= 5000)).all()


def test_wrong_without_a_warning_excludes_refused_pictures():
    rows = pd.DataFrame({"source": 1, "right": [1, 0, 0, 0], "warned": [0, 1, 0, 0], "refused": [0, 0, 1, 0]})
    assert unseen_pictures.cells("x", rows, "25%") == ("x", 1, 4, 1, "25%", 2, 1)
