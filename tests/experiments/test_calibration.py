"""calibration.py and label_errors.py: bins, tests of the confidence, mistakes, and the raters' votes."""

import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

from experiments import calibration, label_errors, results

LABELS = torch.arange(10).repeat(10)
PREDICTED = (LABELS + (torch.arange(100) < 20)) % 10  # 20 of the 100 are wrong


class OnAppleGpu(torch.Tensor):
    """A tensor that refuses float64, as Apple's GPUs do, until it is on the CPU."""

    def double(self):
        raise TypeError("Cannot convert a MPS Tensor to float64 dtype")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


def logits_of(probability):
    """Return logits that give each of `PREDICTED` that probability; the other digits share the rest."""
    logits = torch.full((100, 10), (1 - probability) / 9).scatter_(1, PREDICTED[:, None], probability).log()
    return logits.as_subclass(OnAppleGpu)


def test_bins_count_images_and_correct_answers():
    """Without empty bins; Wilson's interval is that of 80 of 100 (Newcombe, 1998, method 3)."""
    (row,) = calibration.bins(logits_of(0.85), LABELS).to_dict("records")
    assert (row["from"], row["to"], row["images"]) == (80, 90, 100)
    assert (row["confidence"], row["accuracy"]) == (pytest.approx(85), pytest.approx(80))
    assert (row["low"], row["high"]) == (pytest.approx(71.12, abs=0.01), pytest.approx(86.66, abs=0.01))


def test_tests_of_equal_confidences():
    """With one confidence for all, the count is binomial, Spiegelhalter's z is its normal approximation, and the best
    temperature gives all images the confidence that the accuracy has, 80%.
    """
    tests = calibration.tests(logits_of(0.85), LABELS)
    assert (tests["mistakes"], tests["expected"]) == (20, pytest.approx(15))
    assert tests["count_p"] == pytest.approx(binomtest(20, 100, 0.15).pvalue)
    assert abs(tests["spiegelhalter_z"]) == pytest.approx(5 / (100 * 0.85 * 0.15) ** 0.5, rel=1e-5)
    confidence, _ = calibration.confidences(logits_of(0.85) / tests["temperature"], LABELS)
    assert confidence.mean() == pytest.approx(0.8, abs=1e-3)
    assert tests["log_loss_at_best"] < tests["log_loss"]


def test_mistakes_lists_misclassified_images():
    rows = label_errors.mistakes(logits_of(0.9), LABELS)
    assert rows["test_index"].tolist() == list(range(20))
    assert rows.iloc[3].tolist() == [3, 3, 4, pytest.approx(90)]


def test_votes_are_of_five_raters_on_labels_of_the_test_set(mnist):
    votes = results.read("label_votes")
    assert votes["label"].tolist() == mnist[1].labels[votes["test_index"].tolist()].tolist()
    asked = votes[votes["label"] != votes["proposed_label"]]
    assert (asked.filter(like="votes").sum(axis=1) == 5).all()


def test_mistakes_are_confirmed_doubtful_or_never_rated(monkeypatch):
    votes = pd.DataFrame({"test_index": [5, 6, 7, 8], "votes_for_label": [0, 2, 3, 5]})
    files = {"label_votes": votes, "mistakes": pd.DataFrame({"test_index": [5, 6, 7, 90, 91, 92]})}
    monkeypatch.setattr(results, "read", files.get)
    counts = label_errors.counts()
    assert [counts[name] for name in ("rated", "confirmed", "doubtful", "unrated")] == ["3", "1", "2", "3"]
    assert label_errors.read_votes() == {5: 0, 6: 2}
