"""Warnings about an answer.

The network always answers with one of ten digits, often confidently, even if the picture shows something else.
"""

import numpy as np
from PIL import Image

from reader.image_ops import bounding_box
from reader.mnist_format import classify
from reader.shape_features import shape_features

# The 99.9% quantiles of MNIST's training images, and for the minimum the 0.1% quantile (experiments/reader_study.py).
MAX_FEATURES = {
    "stroke_width": 6.63,
    "aspect_ratio": 1.82,
    "n_holes": 3,
    "neighbour_height": 0.45,
    "largest_gap": 0.31,
}
MIN_STROKE_WIDTH = 1.35
ROTATION = 8  # degrees
MAX_CROP_MARGIN = 0.1  # of the picture's side
MIN_STABILITY = 0.73  # about the 1% quantile of the mean confidence, which differs a little from training to training


def classify_rotated(model, ink):
    """Return the probabilities of the ten digits for `ink`, unrotated and rotated by ±`ROTATION`: float32 [3, 10]."""
    return classify(model, [rotate(ink, angle) for angle in (0, -ROTATION, ROTATION)])


def find_warnings(ink, probabilities):
    """Return reasons to doubt that `ink`, float [H, W] from 0 to 1, is one digit, a list of sentences.

    `probabilities` are what `classify_rotated` returns. The limits are those of MNIST's training images. Only strokes
    may be thinner, down to a third: pens are finer than MNIST's strokes, and thin strokes are still read correctly.
    """
    features = shape_features(ink)
    stability, digit = (value.item() for value in probabilities.mean(dim=0).max(dim=0))

    too_large = {name for name, limit in MAX_FEATURES.items() if features[name] > limit}
    unstable = f"rotated by ±{ROTATION}°, it is read as {digit} with a mean confidence of only {stability:.0%}"
    checks = {
        "there are several shapes side by side: it may be more than one digit": (
            too_large & {"neighbour_height", "aspect_ratio"}
        ),
        "parts of the ink are far apart: not all of them may belong to the digit": "largest_gap" in too_large,
        "ink touches the edge: a part of the digit may be missing": is_cut_off(ink),
        "the strokes are thicker than those of a digit": "stroke_width" in too_large,
        "the strokes are very thin for the height of the digit": features["stroke_width"] < MIN_STROKE_WIDTH / 3,
        "there are more loops than a digit has": "n_holes" in too_large,
        unstable: stability < MIN_STABILITY,
    }
    return [warning for warning, holds in checks.items() if holds]


def is_cut_off(ink):
    """Return whether `ink` [H, W] touches one side of the picture, but is not near the opposite side.

    If it is near both sides, the picture was cropped to the digit.
    """
    rows, columns = bounding_box(ink > ink.max() / 2)
    for part, length in ((rows, ink.shape[0]), (columns, ink.shape[1])):
        before, after = part.start, length - part.stop
        if min(before, after) == 0 and max(before, after) > MAX_CROP_MARGIN * length:
            return True
    return False


def rotate(ink, angle):
    """Return `ink` [H, W], padded by a quarter of its longer side, rotated counter-clockwise by `angle` degrees."""
    padded = np.pad(ink, max(ink.shape) // 4).astype(np.float32)
    return np.clip(np.asarray(Image.fromarray(padded).rotate(angle, Image.Resampling.BILINEAR)), 0, 1)
