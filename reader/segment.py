"""Ink → pieces: what hangs together, and where that is too wide for one digit, what cuts make of it.

Lengths are shares of the height of the line, which is that of the piece in which a pixel of ink usually is.
"""

import itertools
from typing import NamedTuple

import numpy as np
from scipy import ndimage

WIDE = 1.15  # a wider piece may be several digits that touch
ASIDE = 0.2  # how far a cut may go to either side to find its way around ink
BETWEEN = 0.35  # two cuts are not nearer to each other


class Piece(NamedTuple):
    """Where one piece of the ink lies, upright, in pixels; `whole` is the same for what was cut from one."""

    left: int
    right: int
    top: int
    bottom: int
    whole: int


def find_pieces(ink):
    """Return the number of the piece that is nearest to each pixel, int [H, W], the pieces, and the line's height.

    `ink` is float [H, W] from 0 to 1. Pieces are numbered from 1, from left to right, and what is left out has -1.
    Raises ValueError where there are two lines.
    """
    labels, _ = ndimage.label(ink > 0.5, structure=np.ones((3, 3)))
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    labels = np.where(np.isin(labels, no_digits(labels)), -1, labels)
    rows, columns = np.nonzero(labels > 0)
    upright = rows, stand_up(rows, columns)
    wholes, dark = np.zeros((2, len(ink), upright[1].max() + 1))
    wholes[upright], dark[upright] = labels[rows, columns], ink[rows, columns]
    boxes = dict(enumerate(ndimage.find_objects(wholes.astype(int)), start=1))
    boxes = {whole: box for whole, box in boxes.items() if box}
    height = np.median([high(boxes[whole]) for whole in labels[rows, columns]])
    refuse_two_lines(boxes.values(), height)
    found = []
    for whole, box in boxes.items():
        own = wholes[box] == whole
        after = cut(np.where(own, dark[box], 0), height)
        for number in np.unique(after[own]):
            y, x = (places + side.start for places, side in zip(np.nonzero(own & (after == number)), box, strict=True))
            found.append((Piece(x.min(), x.max() + 1, y.min(), y.max() + 1, whole), (y, x)))
    found.sort(key=lambda one: one[0].left + one[0].right)
    for number, (_, places) in enumerate(found, start=1):
        wholes[places] = number
    labels[rows, columns] = wholes[upright]
    return labels[tuple(nearest)], [piece for piece, _ in found], height


def no_digits(labels):
    """Return those of `labels` that hold a corner of the picture, as a scan's dark corners do, or frame others.

    None where nothing else would be left.
    """
    boxes = dict(enumerate(ndimage.find_objects(labels), start=1))
    frames = {outer for outer, inner in itertools.permutations(boxes, 2) if is_frame(boxes[outer], boxes[inner])}
    out = frames | (set(labels[[0, 0, -1, -1], [0, -1, 0, -1]].tolist()) & boxes.keys())
    return sorted(out) if out != boxes.keys() else []


def is_frame(outer, inner):
    """Return whether the box `outer` lies around `inner`, which is no speck in it."""
    around = all(one.start < other.start and other.stop < one.stop for one, other in zip(outer, inner, strict=True))
    return around and high(inner) > high(outer) / 4


def high(box):
    return box[0].stop - box[0].start


def stand_up(rows, columns):
    """Return `columns` of ink so that slanted writing stands upright, from 0: where most of it is in few columns."""

    def lean(slant):
        moved = columns + np.floor(slant * rows).astype(int)
        return moved - moved.min()

    return max(map(lean, np.linspace(-0.7, 0.7, 29)), key=lambda moved: (np.bincount(moved) ** 2).sum())


def refuse_two_lines(boxes, height):
    """Raise ValueError where two of the pieces in `boxes`, both of some height, stand over one another."""
    tall = [box for box in boxes if high(box) > 0.6 * height]
    for upper, lower in itertools.permutations(tall, 2):
        shared = min(upper[1].stop, lower[1].stop) - max(upper[1].start, lower[1].start)
        narrower = min(box[1].stop - box[1].start for box in (upper, lower))
        if shared > narrower / 2 and lower[0].start - upper[0].stop > 0.2 * height:
            raise ValueError("there is more than one line of digits in the image; crop it to one")


def cut(dark, height):
    """Return how many cuts lie to the left of each pixel, int [h, w], where `dark` is the ink of one piece, upright.

    A cut is the way from top to bottom through the least ink. There is none where the piece is not `WIDE`.
    """
    width, aside = dark.shape[1], max(1, round(ASIDE * height))
    after = np.zeros(dark.shape, dtype=int)
    if width <= WIDE * height:
        return after
    starts = range(0, width - 2 * aside, max(1, round(0.04 * height)))
    ways = sorted((cheapest_way(dark, start, start + 2 * aside + 1) for start in starts), key=lambda way: way[0])
    middles = []
    for _, way in ways:
        if all(abs(way.mean() - middle) > BETWEEN * height for middle in middles):
            middles.append(way.mean())
            after += np.arange(width) > way[:, None]
    return after


def cheapest_way(dark, start, stop):
    """Return how much ink is on the way from top to bottom that has least, and its columns, from `start` to `stop`."""
    costs, steps = dark[0, start:stop], []
    for row in dark[1:, start:stop]:
        sides = np.pad(costs + 0.02, 1, constant_values=np.inf)  # a step aside costs a little
        choices = np.stack([sides[:-2], costs, sides[2:]])
        steps.append(choices.argmin(axis=0) - 1)
        costs = row + choices.min(axis=0)
    columns = [int(costs.argmin())]
    for step in reversed(steps):
        columns.append(columns[-1] + step[columns[-1]])
    return costs.min(), start + np.array(columns[::-1])
