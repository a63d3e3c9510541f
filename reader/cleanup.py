"""Which pieces of ink are writing? Specks, holes along the edge, and what is drawn around the writing are not."""

import functools

import numpy as np
from scipy import ndimage

from reader.image_ops import edge_of

EIGHT = np.ones((3, 3))  # pixels that touch at a corner belong together, too


def keep_writing(ink, at_edge=False):
    """Return `ink`, float [H, W] from 0 to 1, without what is no writing and not next to any.

    Unless `at_edge`, pieces that touch the edge, such as a scan's dark corners, go too where there is something else.
    """
    pieces, n = ndimage.label(ink > 0.5, structure=EIGHT)
    kept = np.arange(1, n + 1)
    small = functools.partial(specks, at_edge=at_edge)
    for drop in (small, holes, small, frames, small):  # what is gone may have been what the rest was small against
        gone = drop(pieces, kept)
        kept = kept[~gone] if not gone.all() else kept
    return ink * ndimage.binary_dilation(np.isin(pieces, kept), iterations=2)


def specks(pieces, numbers, at_edge):
    """Return which pieces are smaller than a fiftieth of the largest, bool [n]; for `at_edge` see `keep_writing`."""
    areas = ndimage.sum_labels(np.ones_like(pieces), pieces, index=numbers)
    inside = ~np.isin(numbers, edge_of(pieces))
    if not at_edge and inside.any() and areas[inside].max() > areas.max() / 3:
        areas = areas * inside
    return areas < areas.max() / 50


def holes(pieces, numbers):
    """Return which pieces are holes along one edge of the sheet, bool [n]: two or more full discs or squares, alike."""
    found, boxes = np.zeros(len(numbers), dtype=bool), ndimage.find_objects(pieces)
    if len(numbers) < 3:
        return found
    sides = np.array([[part.stop - part.start for part in boxes[n - 1]] for n in numbers])
    middles = np.array([[(part.stop + part.start) / 2 for part in boxes[n - 1]] for n in numbers])
    areas = ndimage.sum_labels(np.ones_like(pieces), pieces, index=numbers)
    round_ = (areas >= 0.6 * sides.prod(axis=1)) & (sides.max(axis=1) <= 1.6 * sides.min(axis=1))
    for axis, length in enumerate(pieces.shape):
        for away in (middles[:, axis], length - middles[:, axis]):
            row = round_ & (away < 0.15 * length)
            row &= np.abs(away - np.median(away[row])) < sides.max(axis=1) if row.any() else row
            row &= areas > np.median(areas[row]) / 2 if row.any() else row
            if row.sum() >= 2:
                found |= row
    return found


def frames(pieces, numbers):
    """Return which pieces go around others that are at least a third as high or as wide as they are, bool [n]."""
    found, boxes = np.zeros(len(numbers), dtype=bool), ndimage.find_objects(pieces)
    for i, n in enumerate(numbers):
        own = pieces[boxes[n - 1]]
        within = ndimage.binary_fill_holes(ndimage.binary_dilation(own == n)) & (own != n) & np.isin(own, numbers)
        if within.any():
            found[i] = any(
                np.ptp(np.flatnonzero(within.any(axis=axis))) + 1 >= own.shape[1 - axis] / 3 for axis in (0, 1)
            )
    return found
