"""Split the ink of a line of digits into segments, each a digit or a part of one.

Every connected component is a segment; one that is too wide for a digit is cut along the paths with the least ink.
Lengths are fractions of the line's height.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from reader.image_ops import bounding_box, label_ink

MAX_DIGIT_WIDTH = 1.15  # a wider component may be several touching digits
CUT_SLACK = 0.2  # how far a cut may move sideways to avoid ink
MIN_CUT_DISTANCE = 0.35  # between two cuts of a component
SPECK = 0.1  # what is neither wider nor higher belongs to the nearest segment
MAX_SEGMENTS = 64


class Segment(NamedTuple):
    """The bounding box of a segment, in pixels, and the number of the component that it is part of."""

    left: int
    right: int
    top: int
    bottom: int
    component: int

    @property
    def width(self):
        return self.right - self.left

    @property
    def height(self):
        return self.bottom - self.top

    @property
    def box(self):
        return slice(self.top, self.bottom), slice(self.left, self.right)


def oversegment(ink, threshold):
    """Split `ink`, float [H, W] from 0 to 1; return (labels, segments, line height). Ink is what exceeds `threshold`.

    `segments` is a list of `Segment` from left to right. `labels`, int [H, W], is the position of the nearest segment,
    counted from 1, at each pixel. The line's height is that of the component of a typical pixel, in pixels. Raises
    ValueError if there are two lines of digits, or far too many strokes.
    """
    components = label_ink(ink, threshold)
    whole = [
        Segment(columns.start, columns.stop, rows.start, rows.stop, component)
        for component, (rows, columns) in enumerate(ndimage.find_objects(components), start=1)
    ]
    areas = np.bincount(components.ravel())[1:]
    line_height = np.median(np.repeat([segment.height for segment in whole], areas))
    whole = [segment for segment in whole if max(segment.width, segment.height) > SPECK * line_height]
    check_number(whole)
    check_one_line(whole, line_height)
    parts = [part for segment in whole for part in split_wide(components, segment, ink, line_height)]
    check_number(parts)
    parts.sort(key=lambda part: part[0].left + part[0].right)
    labels = np.zeros(ink.shape, dtype=np.int32)
    for label, (segment, mask) in enumerate(parts, start=1):
        labels[segment.box][mask] = label
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return labels[tuple(nearest)], [segment for segment, _ in parts], line_height


def check_number(segments):
    """Raise ValueError if there are far more segments than a line of digits has."""
    if len(segments) > MAX_SEGMENTS:
        problem = f"there are {len(segments):,} separate strokes in the picture, too many for one line of digits"
        raise ValueError(f"{problem}; crop it to the number")


def check_one_line(boxes, line_height):
    """Raise ValueError if two of `boxes`, both of some height, are above one another."""
    tall = [box for box in boxes if box.height > 0.6 * line_height]
    for upper, lower in itertools.permutations(tall, 2):
        shared = min(upper.right, lower.right) - max(upper.left, lower.left)
        if shared > min(upper.width, lower.width) / 2 and lower.top - upper.bottom > 0.2 * line_height:
            raise ValueError("there is more than one line of digits in the picture; crop it to one line")


def split_wide(components, segment, ink, line_height):
    """Return the parts of `segment`, a whole component: a list of (`Segment`, its pixels in that box, bool [h, w]).

    A component up to `MAX_DIGIT_WIDTH` wide is its own only part.
    """
    mask = components[segment.box] == segment.component
    if segment.width <= MAX_DIGIT_WIDTH * line_height:
        return [(segment, mask)]
    cuts = find_cuts(np.where(mask, ink[segment.box], 0), line_height)
    n_cuts_to_the_left = sum(np.arange(segment.width) > cut[:, None] for cut in cuts)  # [h, w]
    part_of = np.where(mask, n_cuts_to_the_left, -1)
    left, _, top, _, component = segment
    parts = []
    for part in np.unique(part_of[mask]):
        rows, columns = bounding_box(part_of == part)
        box = Segment(left + columns.start, left + columns.stop, top + rows.start, top + rows.stop, component)
        parts.append((box, part_of[rows, columns] == part))
    return parts


def find_cuts(image, line_height):
    """Return the cuts through a component, a list of columns, one for each row; `image` is its ink, float [h, w].

    Each is the path from top to bottom of a strip of the image with the least ink; those with less ink come first.
    """
    slack = max(1, round(CUT_SLACK * line_height))
    starts = np.arange(0, image.shape[1] - 2 * slack, max(1, round(0.04 * line_height)))
    columns = starts[:, None] + np.arange(2 * slack + 1)  # of each strip, [n, width]
    costs, steps = image[0, columns], []
    for row in image[1:]:
        sideways = np.pad(costs + 0.02, [(0, 0), (1, 1)], constant_values=np.inf)  # a step sideways has a small cost
        choices = np.stack([sideways[:, :-2], costs, sideways[:, 2:]])
        steps.append(np.int8(choices.argmin(axis=0) - 1))
        costs = row[columns] + choices.min(axis=0)
    paths = [costs.argmin(axis=1)]  # from the last row to the first, [n] each
    for step in reversed(steps):
        paths.append(paths[-1] + step[np.arange(len(starts)), paths[-1]])
    cuts = []
    for i in np.argsort(costs.min(axis=1), kind="stable"):
        path = starts[i] + np.array([offsets[i] for offsets in reversed(paths)])
        if all(abs(path.mean() - cut.mean()) > MIN_CUT_DISTANCE * line_height for cut in cuts):
            cuts.append(path)
    return cuts
