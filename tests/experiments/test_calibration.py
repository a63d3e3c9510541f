"""The reliability diagram counts what it says it counts."""

import pytest
import torch

from experiments import calibration as reliability


def logits_of(probability, predicted):
    """Return the logits of answers that are `predicted` [N], each with `probability`, the rest shared by the others."""
    others = (1 - probability) / 9
    return torch.full((len(predicted), 10), others).scatter_(1, predicted[:, None], probability).log()


def test_every_image_falls_into_one_bin_and_right_answers_are_counted():
    labels = torch.arange(10).repeat(10)
    wrong = (labels + (torch.arange(100) < 20)) % 10  # 20 of the 100 are wrong
    rows = reliability.bins(logits_of(0.85, wrong), labels)
    (full,) = (row for row in rows if row["images"])
    assert full == {"from": "80", "to": "90", "images": 100, "sure": "85.00", "right": 80}
    assert sum(row["images"] for row in rows) == 100


def test_a_bin_without_images_is_left_out_of_figure_and_table():
    rows = reliability.bins(logits_of(0.85, torch.arange(10)), torch.arange(10))
    assert reliability.tell(rows).count("\n") == 0
    (axes,) = reliability.plot(rows).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["80–90\n10"]
    assert axes.get_xlabel()
    assert axes.get_ylabel()


def test_the_interval_is_wilsons():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263.
    middle, low, high = reliability.share({"images": "263", "right": "81"})
    assert middle == pytest.approx(100 * 81 / 263)
    assert (low, high) == (pytest.approx(25.53, abs=0.01), pytest.approx(36.62, abs=0.01))
