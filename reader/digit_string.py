"""Read the digits of one line in a picture: `python -m reader.digit photo.jpg --number`

Ink falls into pieces (segments.py), more of them than there are digits; the network says what neighbouring pieces are
together. Of all ways from the first piece to the last, the one is taken whose digits it is surest of and whose widths
are usual: "heuristic over-segmentation" (LeCun et al., "Gradient-based learning applied to document recognition", 1998,
section V).
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
import torch

import utils
from reader.ink import center_ink, locate_ink
from reader.load_image import full_size, read_picture
from reader.segment import find_pieces

# These and those in segments.py were chosen with numbers made of training images (experiments/digit_strings.py).
LONGEST = 1280  # pixels: larger pictures are shrunk first
WIDEST = 1.6  # pieces that are wider together are no digit; this and the following are shares of the line's height
LOW = 0.4  # what is not as high is no digit by itself, but a comma, a full stop or a minus sign
USUAL = torch.tensor([0.75, 0.26, *[0.75] * 8])  # the width of each digit, as MNIST has it
SPREAD = 0.4  # at this distance from the usual width, the score is less by 1
COST = 2.0  # by this a cut makes the score less, or a join of two pieces that do not stand over one another


class Digit(NamedTuple):
    """One digit that `read_number` found."""

    box: tuple[int, int, int, int]  # left, top, right, bottom in pixels of the picture, as PIL's crop takes them
    probabilities: torch.Tensor  # of the ten digits, float32 [10], on the CPU


def read_number(model, image):
    """Return the digits in one picture, a list of `Digit` from left to right.

    `image` is what `reader.digit.predict` takes, with one line of digits on it; boxes lie in the picture as it is to
    be shown, turned as the camera says. Commas, minus signs, and a frame around the number are left out. Raises what
    `predict` raises, and ValueError where there are two lines.
    """
    brightness = read_picture(image)
    full, _ = full_size(image)
    ink, part = locate_ink(brightness, LONGEST, at_edge=True)
    where = [length * full / brightness.shape[1] for length in part]
    labels, pieces, height = find_pieces(ink)
    spans = find_spans(pieces, height)
    parts = [np.where((labels > start) & (labels <= end), ink, 0) for start, end in spans]
    pixels = torch.cat([center_ink(part) for part in parts])
    probabilities = utils.compute_logits(model, pixels.to(next(model.parameters()).device)).softmax(dim=1).cpu()
    scores = [score(pieces[slice(*span)], height, own) for span, own in zip(spans, probabilities, strict=True)]
    digits = [i for i in choose(spans, scores, pieces) if size(pieces[slice(*spans[i])])[1] >= LOW * height]
    return [Digit(box_of(parts[i], where), probabilities[i]) for i in digits]


def text_of(digits):
    """Return the likeliest of each of `digits`, a list of `Digit`, in a row: text."""
    return "".join(str(int(digit.probabilities.argmax())) for digit in digits)


def box_of(part, where):
    """Return the box of the ink in `part` [h, w], which lies in the picture at `where`: left, top, width, height."""
    left, top, width, height = where
    rows, columns = (np.flatnonzero((part > 0.1).any(axis=axis)) for axis in (1, 0))
    across, down = width / part.shape[1], height / part.shape[0]
    starts = math.floor(left + columns[0] * across), math.floor(top + rows[0] * down)
    return *starts, math.ceil(left + (columns[-1] + 1) * across), math.ceil(top + (rows[-1] + 1) * down)


# --- Pieces → digits -------------------------------------------------------------------------------------------------


def size(pieces):
    """Return the width and the height of `pieces` together."""
    lefts, rights, tops, bottoms, _ = zip(*pieces, strict=True)
    return max(rights) - min(lefts), max(bottoms) - min(tops)


def find_spans(pieces, height):
    """Return the (start, end) of all neighbouring `pieces` that may be one digit."""
    spans = []
    for start in range(len(pieces)):
        for end in range(start + 1, len(pieces) + 1):
            if end > start + 1 and size(pieces[start:end])[0] > WIDEST * height:
                break
            spans.append((start, end))
    return spans


def score(pieces, height, probabilities):
    """Return how well `pieces` together make one digit, which has these `probabilities`; 0 is best."""
    joins = sum(a.whole != b.whole and not stand_over(a, b) for a, b in itertools.pairwise(pieces))
    wide, high = (length / height for length in size(pieces))
    if high < LOW:
        return -COST * (1 + joins)
    unusual = ((wide - USUAL) ** 2) / SPREAD**2
    return (probabilities.log() - unusual).max().item() - COST * joins


def stand_over(one, other):
    """Return whether one of two pieces stands over the other, sharing more than half of a width but not of a height."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    narrow = min(one.right - one.left, other.right - other.left)
    return across > narrow / 2 and down < min(one.bottom - one.top, other.bottom - other.top) / 2


def choose(spans, scores, pieces):
    """Return which of `spans` follow each other from the first piece to the last with the highest sum of `scores`."""
    best = {0: (0, [])}  # after so many pieces
    for end in range(1, len(pieces) + 1):
        ways = [
            (best[span[0]][0] + scores[i], [*best[span[0]][1], i]) for i, span in enumerate(spans) if span[1] == end
        ]
        total, chosen = max(ways)
        was_cut = end < len(pieces) and pieces[end - 1].whole == pieces[end].whole
        best[end] = total - COST * was_cut, chosen
    return best[len(pieces)][1]
