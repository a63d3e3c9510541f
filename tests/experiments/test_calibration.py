"""calibration.py: bins, mistakes, and the raters' votes."""

import pytest
import torch
from scipy.stats import binomtest

from experiments import calibration, timing


def logits_of(probability, predicted):
    """Return logits that give each of `predicted` [N] that probability; the other digits share the rest."""
    others = (1 - probability) / 9
    return torch.full((len(predicted), 10), others).scatter_(1, predicted[:, None], probability).log()


def test_bins_count_images_and_correct_answers():
    labels = torch.arange(10).repeat(10)
    predicted = (labels + (torch.arange(100) < 20)) % 10  # 20 of the 100 are wrong
    *rows, total = calibration.bins(logits_of(0.85, predicted), labels)
    (full,) = (row for row in rows if row["images"])
    assert full == {"from": "80", "to": "90", "images": 100, "confidence": "85.0000", "correct": 80, "p_value": ""}
    assert (total["images"], total["correct"]) == (100, 80)
    assert float(total["p_value"]) == pytest.approx(binomtest(20, 100, 0.15).pvalue, abs=0.001)


def test_accuracy_has_wilsons_interval():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263.
    middle, low, high = calibration.accuracy({"images": "263", "correct": "81"})
    assert middle == pytest.approx(100 * 81 / 263)
    assert (low, high) == (pytest.approx(25.53, abs=0.01), pytest.approx(36.62, abs=0.01))


def test_plot_leaves_out_empty_bins():
    (axes,) = calibration.plot(calibration.bins(logits_of(0.85, torch.arange(10)), torch.arange(10))).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["80–90\n10"]


def test_mistakes_lists_misclassified_images():
    labels = torch.tensor([3, 5, 7])
    assert calibration.mistakes(logits_of(0.9, torch.tensor([3, 6, 7])), labels) == [
        {"test_index": 1, "label": 5, "predicted": 6, "confidence": "90.00"}
    ]


def test_votes_are_of_five_raters_on_labels_of_the_test_set(mnist):
    rows = [{name: int(value) for name, value in row.items()} for row in timing.read(calibration.VOTES_CSV)]
    for row in rows:
        assert row["label"] == mnist[1].labels[row["test_index"]]
        assert sum(value for name, value in row.items() if name.startswith("votes")) == 5
    assert calibration.read_votes() == {row["test_index"]: row["votes_for_label"] for row in rows}
    assert max(calibration.read_votes().values()) < 3


def test_label_errors_leave_out_images_with_doubtful_labels(monkeypatch, tmp_path):
    monkeypatch.setattr(calibration, "MISTAKES_CSV", tmp_path / "mistakes.csv")
    timing.write_rows(
        calibration.MISTAKES_CSV, [{"test_index": i} for i in (*list(calibration.read_votes())[:9], *range(39))]
    )
    found = calibration.label_errors()
    assert (found["mistakes"], found["doubtful"]) == ("48", "9")
    assert found["accuracy_without"] == "99.61%"  # 39 mistakes in 9,985 images
