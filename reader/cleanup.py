"""Remove ink that is not writing: specks, punched holes, frames, and dark corners of a scan."""

import numpy as np
from scipy import ndimage

from reader.image_ops import EIGHT_CONNECTED, border_values, corner_values

FAINT, CLEAR = 0.35, 0.5  # faint ink counts if it is connected to clear ink


def remove_clutter(ink, is_number=False):
    """Return `ink`, float [H, W] from 0 to 1, without the connected components that are not writing.

    Components that touch the border of the picture are removed too if there are others of some size. With
    `is_number` only those in a corner of the picture are.
    """
    if is_number:
        ink = erase_ruled_lines(ink)
    components = label_ink(ink)
    kept = np.arange(1, components.max() + 1)

    def find_small(components, kept):
        return find_specks(components, kept, is_number)

    def find_lines(components, kept):
        return find_straight_lines(components, kept, is_number)

    # Specks are judged by the largest component, so they are searched for again after each kind of clutter.
    steps = [find_small, find_holes, find_small, find_frames, find_small, find_lines, find_small]
    if is_number:
        steps.append(find_corners)
    for find in steps:
        clutter = find(components, kept)
        if not clutter.all():
            kept = kept[~clutter]
    writing = np.isin(components, kept)
    return ink * (ndimage.binary_dilation(writing, iterations=2) & (writing | (components == 0)))


def label_ink(ink, threshold=FAINT):
    """Return the connected components of `ink` [H, W], int [H, W] from 1, or 0 where there is none.

    Hysteresis thresholding (Canny, 1986): a component is made of ink above `threshold`, and has clear ink in it.
    """
    components, n = ndimage.label(ink > threshold, structure=EIGHT_CONNECTED)
    clear = np.zeros(n + 1, dtype=int)
    clear[np.unique(components[ink > CLEAR])] = 1
    clear[0] = 0
    return (np.cumsum(clear) * clear)[components]


def erase_ruled_lines(ink):
    """Return `ink` [H, W] of a line of digits without horizontal lines across the picture, which digits may touch."""
    height, width = ink.shape
    if width < 1.5 * height:  # or else it may be the bar of a large seven
        return ink
    for _ in range(5):  # lines that one component consists of
        components = label_ink(ink)
        boxes = ndimage.find_objects(components)
        lines = [
            (box, find_line(components[box] == n))
            for n, box in enumerate(boxes, start=1)
            if box[1].stop - box[1].start > 0.9 * width
        ]
        ink = ink.copy()
        for box, line in lines:
            ink[box][line] = 0
        if not any(line.any() for _, line in lines):
            break
    return ink


def find_line(mask):
    """Return the pixels of a straight, nearly horizontal line across `mask`, bool [h, w]; all False if there is none.

    Where a stroke crosses the line, no pixel is returned.
    """
    runs, _ = ndimage.label(mask, structure=[[0, 1, 0]] * 3)  # vertical runs
    lengths = np.bincount(runs.ravel())
    thickness = np.median(lengths[1:])
    thin = mask & (lengths[runs] <= 2 * thickness)
    rows, columns = np.nonzero(thin)
    inliers = np.ones(len(rows), dtype=bool)
    for _ in range(10):
        line = np.poly1d(np.polyfit(columns[inliers], rows[inliers], 1))
        residuals = np.abs(rows - line(columns))
        inliers = residuals <= max(1.5 * thickness, np.median(residuals[inliers]))
    found = np.zeros(mask.shape, dtype=bool)
    found[rows[inliers], columns[inliers]] = True
    return found if found.any(axis=0).mean() > 0.8 else np.zeros_like(found)


def find_specks(components, numbers, is_number):
    """Return which components are smaller than 1/50 of the largest, bool [n]; for `is_number` see `remove_clutter`.

    `components` is int [H, W]; `numbers`, int [n], are the components to look at, here and below.
    """
    areas = ndimage.sum_labels(components > 0, components, index=numbers)
    inside = ~np.isin(numbers, border_values(components))
    if not is_number and inside.any() and areas[inside].max() > areas.max() / 3:
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
    """Return which components enclose others at least a quarter as wide or as high as themselves, bool [n]."""
    frames, boxes = np.zeros(len(numbers), dtype=bool), ndimage.find_objects(components)
    for i, number in enumerate(numbers):
        part = components[boxes[number - 1]]
        filled = ndimage.binary_fill_holes(ndimage.binary_dilation(part == number))
        enclosed = filled & (part != number) & np.isin(part, numbers)
        if enclosed.any():
            sizes = [np.ptp(np.flatnonzero(enclosed.any(axis=axis))) + 1 for axis in (1, 0)]
            frames[i] = any(size >= side / 4 for size, side in zip(sizes, part.shape, strict=True))
    return frames


def find_straight_lines(components, numbers, is_number):
    """Return which components are ruled lines or sides of a printed box, bool [n].

    They are straight and much longer than all other components. They are horizontal and run across the whole picture,
    or lie near its border, with a gap to the others: a stroke of a broken 4 or 7 has none. With `is_number`, a
    vertical line may be a 1, unless it is as long as the picture is high.
    """
    lines, boxes = np.zeros(len(numbers), dtype=bool), ndimage.find_objects(components)
    starts = np.array([[side.start for side in boxes[n - 1]] for n in numbers])
    stops = np.array([[side.stop for side in boxes[n - 1]] for n in numbers])
    areas = ndimage.sum_labels(components > 0, components, index=numbers)
    for axis, length in enumerate(components.shape):
        extent = (stops - starts)[:, axis]
        begin, end, side = starts[:, 1 - axis], stops[:, 1 - axis], components.shape[1 - axis]
        max_thickness = np.minimum(0.15 * extent, 0.06 * extent + 2 * areas / extent)  # it may be tilted by 3°
        is_line = (extent >= 0.5 * length) & (end - begin <= max_thickness)
        if is_line.all():
            continue
        is_line &= extent > 1.5 * extent[~is_line].max()
        gap = np.maximum(begin[~is_line].min() - end, begin - end[~is_line].max())
        is_beside = (gap > 0.03 * extent) & (np.minimum(end, side - begin) < 0.25 * side)
        if axis == 0:
            lines |= is_line & is_beside & (extent > 0.85 * length if is_number else True)
        else:
            lines |= is_line & (is_beside | (extent > 0.97 * length))
    return lines


def find_corners(components, numbers):
    """Return which components hold a corner of the picture, as the dark corners of a scan do, bool [n]."""
    return np.isin(numbers, corner_values(components))
