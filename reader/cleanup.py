"""Remove ink that is not writing: specks, punched holes, frames, and dark corners of a scan."""

import numpy as np
from scipy import ndimage

from reader.image_ops import EIGHT_CONNECTED, border_values, corner_values


def remove_clutter(ink, keep_border=False):
    """Return `ink`, float [H, W] from 0 to 1, without the connected components that are not writing.

    Components that touch the border of the picture are removed too if there are others of some size. With
    `keep_border` only those in a corner of the picture are.
    """
    components, n = ndimage.label(ink > 0.5, structure=EIGHT_CONNECTED)
    kept = np.arange(1, n + 1)

    def find_small(components, kept):
        return find_specks(components, kept, keep_border)

    # Specks are judged by the largest component, so they are searched for again after each kind of clutter.
    steps = [find_small, find_holes, find_small, find_frames, find_small]
    if keep_border:
        steps.append(find_corners)
    for find in steps:
        clutter = find(components, kept)
        if not clutter.all():
            kept = kept[~clutter]
    return ink * ndimage.binary_dilation(np.isin(components, kept), iterations=2)


def find_specks(components, numbers, keep_border):
    """Return which components are smaller than 1/50 of the largest, bool [n]; for `keep_border` see `remove_clutter`.

    `components` is int [H, W]; `numbers`, int [n], are the components to look at, here and below.
    """
    areas = ndimage.sum_labels(components > 0, components, index=numbers)
    inside = ~np.isin(numbers, border_values(components))
    if not keep_border and inside.any() and areas[inside].max() > areas.max() / 3:
        areas = areas * inside
    return areas < areas.max() / 50


def find_holes(components, numbers):
    """Return which components are punched holes, bool [n]: at least two similar discs or squares along one side."""
    holes, boxes = np.zeros(len(numbers), dtype=bool), ndimage.find_objects(components)
    if len(numbers) < 3:
        return holes
    sizes = np.array([[side.stop - side.start for side in boxes[n - 1]] for n in numbers])
    centres = np.array([[(side.stop + side.start) / 2 for side in boxes[n - 1]] for n in numbers])
    areas = ndimage.sum_labels(components > 0, components, index=numbers)
    compact = (areas >= 0.6 * sizes.prod(axis=1)) & (sizes.max(axis=1) <= 1.6 * sizes.min(axis=1))
    for axis, length in enumerate(components.shape):
        for distance in (centres[:, axis], length - centres[:, axis]):  # from one side, then from the opposite one
            candidates = compact & (distance < 0.15 * length)
            if not candidates.any():
                continue
            candidates &= np.abs(distance - np.median(distance[candidates])) < sizes.max(axis=1)
            if not candidates.any():
                continue
            candidates &= areas > np.median(areas[candidates]) / 2
            if candidates.sum() >= 2:
                holes |= candidates
    return holes


def find_frames(components, numbers):
    """Return which components enclose others at least a third as wide or as high as themselves, bool [n]."""
    frames, boxes = np.zeros(len(numbers), dtype=bool), ndimage.find_objects(components)
    for i, number in enumerate(numbers):
        part = components[boxes[number - 1]]
        filled = ndimage.binary_fill_holes(ndimage.binary_dilation(part == number))
        enclosed = filled & (part != number) & np.isin(part, numbers)
        if enclosed.any():
            sizes = [np.ptp(np.flatnonzero(enclosed.any(axis=axis))) + 1 for axis in (1, 0)]
            frames[i] = any(size >= side / 3 for size, side in zip(sizes, part.shape, strict=True))
    return frames


def find_corners(components, numbers):
    """Return which components hold a corner of the picture, as the dark corners of a scan do, bool [n]."""
    return np.isin(numbers, corner_values(components))
