"""Split the ink of a line of digits into segments, each a digit or a part of one.

Every connected component is a segment; one that is too wide for a digit is cut along the paths with the least ink.
Lengths are fractions of the line's height.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from reader.cleanup import label_ink

MAX_DIGIT_WIDTH = 1.15  # a wider component may be several touching digits
CUT_SLACK = 0.2  # how far a cut may move sideways to avoid ink
MIN_CUT_DISTANCE = 0.35  # between two cuts of a component


class Segment(NamedTuple):
    """The bounding box of a segment, in pixels, and the component that it is part of."""

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


class Pixels(NamedTuple):
    """The pixels of some ink, int [n] each."""

    rows: np.ndarray
    columns: np.ndarray

    def select(self, mask):
        return Pixels(self.rows[mask], self.columns[mask])

    def bounds(self, component):
        return Segment(self.columns.min(), self.columns.max() + 1, self.rows.min(), self.rows.max() + 1, component)


def oversegment(ink, threshold):
    """Split `ink`, float [H, W] from 0 to 1; return (labels, segments, line height). Ink is what exceeds `threshold`.

    `segments` is a list of `Segment` from left to right. `labels`, int [H, W], is the position of the nearest segment,
    counted from 1, at each pixel. The line's height is that of the component of a typical pixel, in pixels. Raises
    ValueError if there are two lines of digits.
    """
    components = label_components(ink, threshold)
    boxes = [pixels.bounds(i) for i, pixels in enumerate(components)]
    line_height = np.median(np.repeat([box.height for box in boxes], [len(pixels.rows) for pixels in components]))
    check_one_line(boxes, line_height)
    parts = [
        (part.bounds(i), part)
        for i, pixels in enumerate(components)
        for part in split_wide(pixels, boxes[i], ink, line_height)
    ]
    parts.sort(key=lambda part: part[0].left + part[0].right)
    labels = np.zeros(ink.shape, dtype=int)
    for label, (_, pixels) in enumerate(parts, start=1):
        labels[pixels.rows, pixels.columns] = label
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return labels[tuple(nearest)], [segment for segment, _ in parts], line_height


def label_components(ink, threshold):
    """Return the pixels of each connected component of `ink`, a list of `Pixels`."""
    components = label_ink(ink, threshold)
    rows, columns = np.nonzero(components)
    pixels, labels = Pixels(rows, columns), components[rows, columns]
    return [pixels.select(labels == label) for label in range(1, components.max() + 1)]


def check_one_line(boxes, line_height):
    """Raise ValueError if two of `boxes`, both of some height, are above one another."""
    tall = [box for box in boxes if box.height > 0.6 * line_height]
    for upper, lower in itertools.permutations(tall, 2):
        shared = min(upper.right, lower.right) - max(upper.left, lower.left)
        if shared > min(upper.width, lower.width) / 2 and lower.top - upper.bottom > 0.2 * line_height:
            raise ValueError("there is more than one line of digits in the picture; crop it to one line")


def split_wide(pixels, box, ink, line_height):
    """Return the parts of a component, given by its `pixels` and its bounding box: a list of `Pixels`.

    A component up to `MAX_DIGIT_WIDTH` wide is its own only part.
    """
    if box.width <= MAX_DIGIT_WIDTH * line_height:
        return [pixels]
    image = np.zeros((box.height, box.width))
    rows, columns = pixels.rows - box.top, pixels.columns - box.left
    image[rows, columns] = ink[pixels.rows, pixels.columns]
    part_of = sum(columns > cut[rows] for cut in find_cuts(image, line_height))  # the number of cuts to the left
    return [pixels.select(part_of == part) for part in np.unique(part_of)]


def find_cuts(image, line_height):
    """Return the cuts through a component, a list of columns, one for each row; `image` is its ink, float [h, w]."""
    slack = max(1, round(CUT_SLACK * line_height))
    starts = range(0, image.shape[1] - 2 * slack, max(1, round(0.04 * line_height)))
    paths = sorted((min_cost_path(image, start, start + 2 * slack + 1) for start in starts), key=lambda path: path[0])
    cuts = []
    for _, path in paths:
        if all(abs(path.mean() - cut.mean()) > MIN_CUT_DISTANCE * line_height for cut in cuts):
            cuts.append(path)
    return cuts


def min_cost_path(image, start, stop):
    """Return the least ink on a path from top to bottom of `image` between two columns, and the path's columns [h]."""
    costs, steps = image[0, start:stop], []
    for row in image[1:, start:stop]:
        sideways = np.pad(costs + 0.02, 1, constant_values=np.inf)  # a step sideways has a small cost
        choices = np.stack([sideways[:-2], costs, sideways[2:]])
        steps.append(choices.argmin(axis=0) - 1)
        costs = row + choices.min(axis=0)
    columns = [int(costs.argmin())]
    for step in reversed(steps):
        columns.append(columns[-1] + step[columns[-1]])
    return costs.min(), start + np.array(columns[::-1])
