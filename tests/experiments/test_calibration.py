"""calibration.py: bins and tests of the confidence."""

import pytest
import torch
from scipy.stats import binomtest, chi2

from experiments import calibration

LABELS = torch.arange(10).repeat(10)
PREDICTED = (LABELS + (torch.arange(100) < 20)) % 10  # 20 of the 100 are wrong


def logits_of(probability):
    """Return logits that give each of `PREDICTED` that probability; the other digits share the rest."""
    return torch.full((100, 10), (1 - probability) / 9).scatter_(1, PREDICTED[:, None], probability).log()


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
    assert tests["spiegelhalter_p"] == pytest.approx(chi2.sf(tests["spiegelhalter_z"] ** 2, 1))
    confidence, _ = calibration.confidences(logits_of(0.85) / tests["temperature"], LABELS)
    assert confidence.mean() == pytest.approx(0.8, abs=1e-3)
    assert tests["log_loss_at_best"] < tests["log_loss"]
