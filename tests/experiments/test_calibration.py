"""calibration.py and label_errors.py: bins, mistakes, and the raters' votes."""

import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

from experiments import calibration, label_errors, results


def logits_of(probability, predicted):
    """Return logits that give each of `predicted` [N] that probability; the other digits share the rest."""
    others = (1 - probability) / 9
    return torch.full((len(predicted), 10), others).scatter_(1, predicted[:, None], probability).log()


def test_bins_count_images_and_correct_answers():
    labels = torch.arange(10).repeat(10)
    predicted = (labels + (torch.arange(100) < 20)) % 10  # 20 of the 100 are wrong
    rows = calibration.bins(logits_of(0.85, predicted), labels)
    *_, total = rows.to_dict("records")
    assert (total["images"], total["correct"]) == (100, 80)
    assert total["p_value"] == pytest.approx(binomtest(20, 100, 0.15).pvalue)
    (full,) = calibration.accuracies(rows).to_dict("records")  # without empty bins
    assert (full["from"], full["to"], full["images"], full["correct"]) == (80, 90, 100, 80)
    assert full["confidence"] == pytest.approx(85)


def test_accuracies_have_wilsons_interval():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263.
    row = calibration.accuracies(pd.DataFrame({"images": [263, 263], "correct": [81, 81]})).iloc[0]
    assert (row["low"], row["high"]) == (pytest.approx(25.53, abs=0.01), pytest.approx(36.62, abs=0.01))


def test_mistakes_lists_misclassified_images():
    rows = label_errors.mistakes(logits_of(0.9, torch.tensor([3, 6, 7])), torch.tensor([3, 5, 7]))
    assert rows.to_dict("records") == [{"test_index": 1, "label": 5, "predicted": 6, "confidence": 90.0}]


def test_votes_are_of_five_raters_on_labels_of_the_test_set(mnist):
    votes = results.read("label_votes")
    assert votes["label"].tolist() == mnist[1].labels[votes["test_index"].tolist()].tolist()
    assert (votes.filter(like="votes").sum(axis=1) == 5).all()


def test_accuracy_without_doubtful_labels(monkeypatch):
    doubtful = results.read("label_votes")["test_index"].tolist()[:9]
    files = {"mistakes": pd.DataFrame({"test_index": [*doubtful, *range(39)]})}
    read = results.read
    monkeypatch.setattr(results, "read", lambda name: files[name] if name in files else read(name))
    counts = label_errors.counts()
    assert (counts["mistakes"], counts["doubtful"]) == ("48", "9")
    assert counts["accuracy_without"] == "99.61%"  # 39 mistakes in 9,985 images
