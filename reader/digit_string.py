"""Read the digits of one line in a picture.

The ink is split into more segments than there are digits (segment.py), and the network classifies every group of
neighbouring segments. Dynamic programming picks the groups with the highest total of log-probability and width prior.
This is "heuristic over-segmentation" (LeCun et al., "Gradient-based learning applied to document recognition", 1998,
section V).
"""

import contextlib
import itertools
import math
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from reader.image_ops import CLEAR, FAINT, shrink
from reader.ink import MAX_SIDE, extract, nothing_found
from reader.load_image import load_image_and_size
from reader.mnist_format import classify
from reader.sanity_checks import classify_rotated, find_warnings
from reader.segment import oversegment

# Tuned on numbers composed of MNIST's training images, as were the constants in segment.py.
MAX_SIDE_OF_NUMBER = 1280  # pixels: larger pictures are shrunk first
MAX_SPAN = 6  # segments of a digit
MAX_SPAN_WIDTH = 1.6  # wider groups of segments are not a digit; this and the following are fractions of line height
MIN_HEIGHT = 0.4  # anything lower is not a digit but a comma, a full stop or a minus sign
TYPICAL_WIDTH = torch.tensor([0.75, 0.26, *[0.75] * 8])  # of each digit, as in MNIST
WIDTH_TOLERANCE = 0.4  # a width that differs this much from the typical one lowers the score by 1
CUT_PENALTY = 2.0  # lowers the score for each cut, and for each join of two components beside each other
MIN_MARGIN = 1.5  # of the score over that of the best segmentation into another number of digits


class Digit(NamedTuple):
    """One digit that `read_number` found."""

    box: tuple[int, int, int, int]  # left, top, right, bottom in pixels of the picture, as for PIL's crop
    probabilities: torch.Tensor  # of the ten digits, float32 [10], on the CPU


def read_number(model, picture):
    """Return the digits of one line in a picture, a list of `Digit` from left to right, and reasons to doubt them.

    Takes the same pictures as `read_digit`. Boxes are in pixels of the picture as it is displayed, that is, rotated as
    its EXIF orientation says. Commas, minus signs, ruled lines and a frame around the number are ignored. The reasons,
    a list of sentences, are those of each digit, that the number of digits may be wrong, and that digits may have been
    removed with a frame. Raises what `read_digit` raises, and ValueError if it isn't one line.
    """
    brightness, (full_width, _) = load_image_and_size(picture)
    scale = full_width / brightness.shape[1]
    max_side = min(MAX_SIDE_OF_NUMBER, max(brightness.shape))
    try:
        return read_line(model, brightness, scale, max_side)
    except ValueError as refusal:
        try:  # at half the size, there is less noise, and broken strokes are closed
            return read_line(model, brightness, scale, max_side // 2)
        except ValueError:
            raise refusal from None


def read_line(model, brightness, scale, max_side):
    """Return what `read_number` does, at a size of at most `max_side` pixels; `scale` is that of the picture."""
    ink, area, has_lost_digits = extract(brightness, max_side, is_number=True)
    # Faint ink may belong to a stroke, or join two digits that touch.
    readings = [read_ink(model, ink, FAINT)]
    with contextlib.suppress(ValueError):  # without it, broken strokes may look like two lines
        readings.append(read_ink(model, ink, CLEAR))
    best = max(readings, key=lambda reading: reading.score)
    if not best.groups:
        raise nothing_found()
    digits, warnings = [], []
    if has_lost_digits:
        warnings.append("digits may be missing: they touch lines that were removed")
    rivals = [reading.score for reading in readings if len(reading.groups) != len(best.groups)]
    if best.score - max([best.rival_score, *rivals]) < MIN_MARGIN:
        warnings.append("the number of digits may be wrong: they can be separated in another way")
    area = [scale * length for length in area]
    for position, (box, ink_in_box) in enumerate(best.groups, start=1):
        alone = np.zeros_like(ink)
        alone[box] = ink_in_box
        alone = shrink(alone[with_margin(box)], MAX_SIDE)
        probabilities = classify_rotated(model, alone)
        digits.append(Digit(box_in_picture(box, ink.shape, area), probabilities.mean(dim=0)))
        warnings += [f"digit {position}: {warning}" for warning in find_warnings(alone, probabilities)]
    return digits, warnings


def text_of(digits):
    """Return the most likely value of each of `digits`, a list of `Digit`, as one string."""
    return "".join(str(int(digit.probabilities.argmax())) for digit in digits)


def box_in_picture(box, shape, area):
    """Return `box` of ink of a `shape` as (left, top, right, bottom) of the picture whose `area` the ink covers."""
    (rows, columns), (left, top, width, height) = box, area
    y_scale, x_scale = height / shape[0], width / shape[1]
    start = math.floor(left + columns.start * x_scale), math.floor(top + rows.start * y_scale)
    return *start, math.ceil(left + columns.stop * x_scale), math.ceil(top + rows.stop * y_scale)


class Reading(NamedTuple):
    """The best way to read some ink as digits."""

    score: float
    rival_score: float  # of the best way with another number of digits
    groups: list[tuple]  # of each digit, its box, slices of rows and columns, and the ink in it, float [h, w]


def read_ink(model, ink, threshold):
    """Return the best `Reading` of `ink`, float [H, W], whose segments are made of ink above `threshold`."""
    labels, segments, line_height = oversegment(ink, threshold)
    boxes = ndimage.find_objects(np.where(ink > 0.1, labels, 0))

    def cut_out(span):
        """Return the box of the segments in `span`, and their ink in it."""
        start, end = span
        box = enclose(boxes[start:end])
        return box, np.where((labels[box] > start) & (labels[box] <= end), ink[box], 0)

    spans = find_spans(segments, line_height)
    probabilities = classify(model, (shrink(cut_out(span)[1], MAX_SIDE) for span in spans))
    scores = [score(segments[slice(*span)], line_height, p) for span, p in zip(spans, probabilities, strict=True)]
    is_digit = [size(segments[slice(*span)])[1] >= MIN_HEIGHT * line_height for span in spans]
    total, rival, chosen = best_segmentation(spans, scores, is_digit, segments)
    return Reading(total, rival, [cut_out(spans[i]) for i in chosen])


def enclose(boxes):
    """Return the smallest box, slices of rows and columns, around all `boxes`."""
    return tuple(slice(min(s.start for s in sides), max(s.stop for s in sides)) for sides in zip(*boxes, strict=True))


def with_margin(box):
    """Return `box`, slices of rows and columns, with a margin of half its longer side, or up to the picture's edge."""
    margin = max(side.stop - side.start for side in box) // 2
    return tuple(slice(max(0, side.start - margin), side.stop + margin) for side in box)


def size(segments):
    """Return the width and height of the bounding box of `segments`."""
    lefts, rights, tops, bottoms, _ = zip(*segments, strict=True)
    return max(rights) - min(lefts), max(bottoms) - min(tops)


def find_spans(segments, line_height):
    """Return the (start, end) of all groups of neighbouring `segments` that may be one digit."""
    spans = []
    for start in range(len(segments)):
        for end in range(start + 1, min(start + MAX_SPAN, len(segments)) + 1):
            if end > start + 1 and size(segments[start:end])[0] > MAX_SPAN_WIDTH * line_height:
                break
            spans.append((start, end))
    return spans


def score(segments, line_height, probabilities):
    """Return how well `segments` together, with these `probabilities`, are one digit; the best possible score is 0."""
    joins = sum(
        left.component != right.component and not are_stacked(left, right)
        for left, right in itertools.pairwise(segments)
    )
    width, height = (length / line_height for length in size(segments))
    if height < MIN_HEIGHT:
        return -CUT_PENALTY * (1 + joins)
    width_penalty = (width - TYPICAL_WIDTH) ** 2 / WIDTH_TOLERANCE**2
    return (probabilities.log() - width_penalty).max().item() - CUT_PENALTY * joins


def are_stacked(a, b):
    """Return whether one of two segments is above the other: more than half a width shared, less than half a height."""
    shared_width = min(a.right, b.right) - max(a.left, b.left)
    shared_height = min(a.bottom, b.bottom) - max(a.top, b.top)
    return shared_width > min(a.width, b.width) / 2 and shared_height < min(a.height, b.height) / 2


def best_segmentation(spans, scores, is_digit, segments):
    """Return the highest sum of `scores` of spans that cover all `segments` in order, its rival, and these spans.

    The rival is the highest sum with another number of digits, or -infinity. Of the spans, those that are digits are
    returned, as indices.
    """
    best = [{0: (0, [])}]  # for each number of segments covered: number of digits → highest sum, chosen spans
    for end in range(1, len(segments) + 1):
        is_cut = end < len(segments) and segments[end - 1].component == segments[end].component
        candidates = {}
        for i, (start, stop) in enumerate(spans):
            for n_digits, (total, chosen) in best[start].items() if stop == end else ():
                candidate = total + scores[i] - CUT_PENALTY * is_cut, [*chosen, i]
                n_digits += is_digit[i]
                candidates[n_digits] = max(candidate, candidates.get(n_digits, candidate))
        best.append(candidates)
    (total, chosen), *others = sorted(best[-1].values(), reverse=True)
    return total, others[0][0] if others else -math.inf, [i for i in chosen if is_digit[i]]
