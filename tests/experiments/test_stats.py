"""stats.py against values worked out elsewhere or by hand."""

import pytest
from scipy import stats as scipy_stats

from experiments import stats

# Student's own example ("The probable error of a mean", 1908, section IX): hours of sleep gained with two drugs.
SLEEP = (
    dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])),
    dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])),
)
BELOW, WIDE = stats.Estimate(-0.1, -0.15, -0.05, 0.01, 9), stats.Estimate(0.1, -1, 1.2, 0.8, 9)


def test_compare_is_students_paired_test():
    found = stats.compare(SLEEP[1], SLEEP[0])
    assert found.mean == pytest.approx(1.58)
    assert (found.low, found.high) == (pytest.approx(0.7001, abs=1e-4), pytest.approx(2.4599, abs=1e-4))
    assert found.p == pytest.approx(0.002833, abs=1e-6)
    assert found.n == 10
    assert found.excludes_zero


def test_compare_pairs_by_seed_regardless_of_order():
    base = {seed: 10.0 * seed for seed in range(5)}
    found = stats.compare({9: 0.0, 3: 31.0, 1: 11.5, 2: 21.5}, base)
    assert found.n == 3
    assert found.mean == pytest.approx((1 + 1.5 + 1.5) / 3)


def test_compare_refuses_a_single_pair():
    with pytest.raises(ValueError, match="1 seeds in both"):
        stats.compare({0: 1.0, 7: 2.0}, {0: 0.5})


def test_excludes_zero_is_false_for_an_interval_around_zero():
    found = stats.compare({0: 1.0, 1: -0.9, 2: 0.2}, {0: 0.0, 1: 0.0, 2: 0.0})
    assert found.low < 0 < found.high
    assert not found.excludes_zero


def test_fixed_rounds_halves_away_from_zero():
    assert [stats.fixed(value, 3) for value in (99.4515, -0.0005, 0.0004)] == ["99.452", "-0.001", "0.000"]


def test_t_interval_of_a_mean():
    assert stats.t_interval(list(SLEEP[1].values()))[:3] == pytest.approx((2.33, 0.8976, 3.7624), abs=1e-4)


def test_compare_means_is_welchs_test():
    """R's help page of t.test has this result for Student's data."""
    found = stats.compare_means(list(SLEEP[0].values()), list(SLEEP[1].values()))
    assert found[:3] == pytest.approx((-1.58, -3.3655, 0.2055), abs=1e-4)
    assert found.p == pytest.approx(0.07939, abs=1e-5)


def test_bonferroni_level_widens_the_interval():
    level = stats.bonferroni_level(8)
    assert level == pytest.approx(0.99375)
    one, all_eight = (stats.compare(SLEEP[1], SLEEP[0], at) for at in (0.95, level))
    assert all_eight.low < one.low < one.high < all_eight.high


def test_holm_corrects_as_in_his_paper():
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.6, 0.5]) == [1.0, 1.0]


def test_count_interval_is_clopper_and_pearsons():
    """0 of 10 and 10 of 10 have closed forms; 81 of 263 is from Newcombe, 1998, table I."""
    assert stats.count_interval(0, 10) == (0, pytest.approx(1 - 0.025**0.1))
    assert stats.count_interval(10, 10) == (pytest.approx(0.025**0.1), 1)
    assert stats.count_interval(81, 263) == pytest.approx((0.2527, 0.3676), abs=1e-4)


def test_deviation_interval_is_chi_squareds():
    """For 10 values: the ends are √(9 / 19.023) and √(9 / 2.7004) times the standard deviation."""
    deviation, low, high = stats.deviation_interval(list(SLEEP[0].values()))
    assert (low / deviation, high / deviation) == (pytest.approx(0.6878, abs=1e-4), pytest.approx(1.8256, abs=1e-4))


def test_poisson_binomial_p_of_equal_probabilities_is_that_of_the_binomial_test():
    for count in (0, 4, 9):
        assert stats.poisson_binomial_p(count, [0.2] * 20) == pytest.approx(
            scipy_stats.binomtest(count, 20, 0.2).pvalue
        )
    assert stats.poisson_binomial_p(3, [1.0, 0.5, 0.5]) == pytest.approx(0.5)  # of 1, 2, 3: 1/4, 1/2, 1/4


def test_table_reports_an_effect_only_if_its_interval_excludes_zero():
    """The p-values are corrected over all four comparisons."""
    found = {"accuracy": {"x": BELOW, "y": WIDE}, "loss": {"x": WIDE, "y": WIDE._replace(low=0.01, p=0.02)}}
    assert stats.table(found).splitlines()[2:] == [
        "| x | -0.100 (-0.150 to -0.050) | 0.0400 | +0.10000 (-1.00000 to +1.20000) | 1.0000 | accuracy lower |",
        "| y | +0.100 (-1.000 to +1.200) | 1.0000 | +0.10000 (+0.01000 to +1.20000) | 0.0600 | loss higher |",
    ]
    assert stats.verdict(WIDE, WIDE) == "no significant difference"


def test_forest_plot_marks_zero_and_what_excludes_it():
    figure = stats.forest_plot({"a (%)": {"x": BELOW, "y": WIDE}, "b (nats)": {"x": WIDE, "y": BELOW}})
    left = figure.axes[0]
    assert [axes.get_xlabel() for axes in figure.axes] == ["a (%)", "b (nats)"]
    assert [label.get_text() for label in left.get_yticklabels()] == ["x", "y"]
    colours = [container.lines[0].get_color() for container in left.containers]
    assert colours[0] != colours[1]
    assert [0, 0] in [list(line.get_xdata()) for line in left.lines]
