"""Paired differences, their intervals and corrections, against values worked out elsewhere or by hand."""

import pytest
from scipy import stats

from experiments import stats as paired

# Student's own example ("The probable error of a mean", 1908, section IX): hours of sleep gained with two drugs.
SLEEP = (
    dict(enumerate([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])),
    dict(enumerate([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])),
)


def test_a_difference_is_students():
    found = paired.compare(SLEEP[1], SLEEP[0])
    assert found.mean == pytest.approx(1.58)
    assert (found.low, found.high) == (pytest.approx(0.7001, abs=1e-4), pytest.approx(2.4599, abs=1e-4))
    assert found.p == pytest.approx(0.002833, abs=1e-6)
    assert found.p == pytest.approx(stats.ttest_rel(*(list(drug.values()) for drug in SLEEP)).pvalue)
    assert found.pairs == 10
    assert found.is_shown


def test_pairs_are_made_by_seed_whatever_the_order_and_the_rest():
    base = {seed: 10.0 * seed for seed in range(5)}
    values = {9: 0.0, 3: 31.0, 1: 11.5, 2: 21.5}
    found = paired.compare(values, base)
    assert found.pairs == 3
    assert found.mean == pytest.approx((1 + 1.5 + 1.5) / 3)


def test_an_interval_with_zero_in_it_shows_nothing():
    found = paired.compare({0: 1.0, 1: -0.9, 2: 0.2}, {0: 0.0, 1: 0.0, 2: 0.0})
    assert found.low < 0 < found.high
    assert not found.is_shown


def test_a_higher_level_makes_it_wider_and_eight_together_need_more_than_99_percent():
    level = paired.simultaneous(8)
    assert level == pytest.approx(0.99375)
    one, all_eight = (paired.compare(SLEEP[1], SLEEP[0], at) for at in (0.95, level))
    assert all_eight.low < one.low < one.high < all_eight.high
    assert one.p == all_eight.p


def test_holm_corrects_as_in_his_paper():
    assert paired.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert paired.holm([0.6, 0.5]) == [1.0, 1.0]


def test_one_seed_is_no_difference():
    with pytest.raises(ValueError, match="1 seeds have both values"):
        paired.compare({0: 1.0, 7: 2.0}, {0: 0.5})


def test_the_forest_has_a_panel_a_label_and_marks_zero():
    shown, hidden = paired.Difference(1, 0.5, 1.5, 0.01, 9), paired.Difference(0.1, -1, 1.2, 0.8, 9)
    figure = paired.forest({"a (%)": {"x": shown, "y": hidden}, "b (nats)": {"x": hidden, "y": shown}})
    assert [axes.get_xlabel() for axes in figure.axes] == ["a (%)", "b (nats)"]
    left = figure.axes[0]
    assert [label.get_text() for label in left.get_yticklabels()] == ["x", "y"]
    colours = [container.lines[0].get_color() for container in left.containers]
    assert colours[0] != colours[1]
    assert [0, 0] in [list(line.get_xdata()) for line in left.lines]


def test_the_table_tells_as_an_effect_only_what_leaves_zero_out():
    """Whose p-values are corrected over all four comparisons."""
    shown, hidden = paired.Difference(-0.1, -0.15, -0.05, 0.01, 9), paired.Difference(0.1, -1, 1.2, 0.8, 9)
    found = {"accuracy": {"x": shown, "y": hidden}, "loss": {"x": hidden, "y": hidden._replace(low=0.01, p=0.02)}}
    assert paired.tell(found).splitlines() == [
        "| x | -0.100 (-0.150 to -0.050) | 0.0400 | +0.10000 (-1.00000 to +1.20000) | 1.0000 | accuracy lower |",
        "| y | +0.100 (-1.000 to +1.200) | 1.0000 | +0.10000 (+0.01000 to +1.20000) | 0.0600 | loss higher |",
    ]
    assert paired.verdict(hidden, hidden) == "no difference was found"
    assert paired.verdict(shown, shown._replace(low=0.1, high=0.3, mean=0.2)) == "accuracy lower, loss higher"


def test_the_mean_has_its_own_interval():
    assert paired.mean(list(SLEEP[1].values()))[:3] == pytest.approx((2.33, 0.8976, 3.7624), abs=1e-4)
