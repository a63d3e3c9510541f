"""What speaks against an answer? A network that knows ten digits takes all for one of them, and is often sure of it."""

import numpy as np
import torch
from PIL import Image

import utils
from reader.image_ops import edge_of
from reader.ink import center_ink
from reader.shape_features import measure

# What a thousandth of MNIST's training images exceeds, and a thousandth falls below (experiments/results/shape_limits.csv).
LARGEST = {"stroke": 6.63, "width": 1.82, "loops": 3, "beside": 0.45, "apart": 0.31}
THINNEST = 1.35
TURN = 8  # degrees
FIRM = 0.73  # the answer's mean probability as it is and turned to either side: a hundredth of them fall below


def doubts_of(model, ink):
    """Return what speaks against `ink`, float [H, W] from 0 to 1, being one digit that `model` knows: short sentences.

    The limits are those of MNIST's digits, but strokes may be a third as thick as its thinnest: pens are finer, and
    such strokes are still read.
    """
    shape = measure(ink)
    digit, firm = firmness(model, ink)
    found = {
        "pieces of ink lie side by side: it may be more than one digit": exceeds(shape, "beside", "width"),
        "pieces of ink lie far apart: not all of them may belong to the digit": exceeds(shape, "apart"),
        "ink touches the edge: a part of the digit may be missing": (edge_of(ink) > 0.5).any(),
        "the strokes are thicker than those of a digit": exceeds(shape, "stroke"),
        "the strokes are very thin for the height of the digit": shape["stroke"] < THINNEST / 3,
        "there are more loops than a digit has": exceeds(shape, "loops"),
        f"turned by {TURN}° to either side, it is read as {digit} with {firm:.0%} at the mean": firm < FIRM,
    }
    return [sentence for sentence, holds in found.items() if holds]


def exceeds(shape, *names):
    """Return whether one of the measures `names` of a shape is larger than MNIST's digits have it."""
    return any(shape[name] > LARGEST[name] for name in names)


def firmness(model, ink):
    """Return how `ink` is read, and the mean probability of that as it is and turned by `TURN` to either side."""
    found = probabilities(model, [turned(ink, angle) for angle in (0, -TURN, TURN)])
    digit = int(found[0].argmax())
    return digit, float(found[:, digit].mean())


def probabilities(model, inks):
    """Return the probabilities of the ten digits for each of `inks`, float [H, W] from 0 to 1: float32 [N, 10]."""
    pixels = torch.cat([center_ink(ink) for ink in inks]).to(next(model.parameters()).device)
    return utils.compute_logits(model, pixels).softmax(dim=1).cpu()


def turned(ink, angle):
    """Return `ink` [H, W] turned left by `angle` degrees, on a larger ground where it is needed."""
    padded = np.pad(ink, max(ink.shape) // 4).astype(np.float32)
    return np.clip(np.asarray(Image.fromarray(padded).rotate(angle, Image.Resampling.BILINEAR)), 0, 1)
