"""Remove ink that is not writing: specks, punched holes, frames, lines, and dark corners of a scan."""

import numpy as np
from scipy import ndimage

from reader.image_ops import EIGHT_CONNECTED, border_values, corner_values, label_ink, opened
from reader.lines import erase_grid, erase_ruled_lines

MAX_FRAMES = 20  # to save time, only so many of the largest components are examined


def remove_clutter(ink, is_number=False):
    """Return `ink`, float [H, W] from 0 to 1, without the connected components that are not writing.

    Components that touch the border of the picture are removed too if there are others of some size. Of a number, only
    those in a corner of the picture are. Also returns whether strokes as high as the digits of a number were removed
    with a frame or a line that they touch.
    """
    ink = erase_grid(ink, is_number)
    if is_number:
        ink = erase_ruled_lines(ink)
    components = label_ink(ink)
    labels = np.arange(1, components.max() + 1)
    if len(labels) == 0:
        return np.zeros_like(ink), False
    # A speck is small relative to the largest component, so search again whenever that may have changed.
    kinds = [is_speck, is_hole, is_speck, is_frame, is_speck, is_straight_line, is_speck]
    lines = []
    for is_clutter in [*kinds, is_in_corner] if is_number else kinds:
        clutter = is_clutter(components, labels, is_number)
        if not clutter.all():
            lines += [*labels[clutter]] if is_clutter in {is_frame, is_straight_line} else []
            labels = labels[~clutter]
    writing = np.isin(components, labels)
    kept = ink * (ndimage.binary_dilation(writing, iterations=2) & (writing | (components == 0)))
    starts, stops = extents(components, labels)
    return kept, is_number and holds_digits(np.isin(components, lines), (stops - starts)[:, 0].max())


def holds_digits(lines, height):
    """Return whether `lines`, bool [H, W], have strokes about as high as digits of this `height`."""
    length = int(1.5 * height) | 1
    straight = opened(lines, length, 0) | opened(lines, length, 1)
    strokes, _ = ndimage.label(lines & ~ndimage.binary_dilation(straight, iterations=2), EIGHT_CONNECTED)
    return any(rows.stop - rows.start > 0.6 * height for rows, _ in ndimage.find_objects(strokes))


def extents(components, labels):
    """Return the first and the last row and column plus 1 of the components: two arrays, int [n, 2]."""
    boxes = ndimage.find_objects(components)
    starts = [[side.start for side in boxes[label - 1]] for label in labels]
    return np.array(starts), np.array([[side.stop for side in boxes[label - 1]] for label in labels])


# --- Kinds of clutter: functions of components, int [H, W], and the labels, int [n], of those still kept -------------


def is_speck(components, labels, is_number):
    """Return which components are smaller than 1/50 of the largest, bool [n]."""
    areas = ndimage.sum_labels(components > 0, components, index=labels)
    inside = ~np.isin(labels, border_values(components))
    if not is_number and inside.any() and areas[inside].max() > areas.max() / 3:
        areas = areas * inside
    return areas < areas.max() / 50


def is_frame(components, labels, _):
    """Return which components enclose others at least a quarter as wide or as high as themselves, bool [n]."""
    boxes = ndimage.find_objects(components)
    areas = np.array([components[boxes[label - 1]].size for label in labels])
    frames = np.zeros(len(labels), dtype=bool)
    for i in np.argsort(-areas, kind="stable")[:MAX_FRAMES]:
        label = labels[i]
        part = components[boxes[label - 1]]
        filled = ndimage.binary_fill_holes(ndimage.binary_dilation(part == label))
        enclosed = filled & (part != label) & np.isin(part, labels)
        if enclosed.any():
            sizes = [np.ptp(np.flatnonzero(enclosed.any(axis=axis))) + 1 for axis in (1, 0)]
            frames[i] = any(size >= side / 4 for size, side in zip(sizes, part.shape, strict=True))
    return frames


def is_hole(components, labels, _):
    """Return which components are punched holes, bool [n]: two or more filled ones of a size in a row along a side."""
    starts, stops = extents(components, labels)
    sizes, centres = stops - starts, (starts + stops) / 2
    areas = ndimage.sum_labels(components > 0, components, index=labels)
    is_filled = (areas >= 0.6 * sizes.prod(axis=1)) & (sizes.max(axis=1) <= 1.6 * sizes.min(axis=1))
    holes = np.zeros(len(labels), dtype=bool)
    for axis, length in enumerate(components.shape):
        for distance in (centres[:, axis], length - centres[:, axis]):  # from one side, then from the opposite one
            row = is_filled & (distance < 0.15 * length)
            if row.any():
                row &= np.abs(distance - np.median(distance[row])) < sizes.max(axis=1)
                holes |= row & (row.sum() >= 2)
    return holes


def is_straight_line(components, labels, is_number):
    """Return which components are ruled lines or sides of a printed box, bool [n]. They are

    - straight,
    - 1.5 times as long as all other components,
    - across the whole picture if horizontal; or near its border, with a gap to the others: a stroke of a broken 4 or 7
      has none. Beside a number, a vertical one is as long as the picture is high, or else it may be a 1.
    """
    starts, stops = extents(components, labels)
    areas = ndimage.sum_labels(components > 0, components, index=labels)
    lines = np.zeros(len(labels), dtype=bool)
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


def is_in_corner(components, labels, _):
    """Return which components are in a corner of the picture, as the dark corners of a scan are, bool [n]."""
    return np.isin(labels, corner_values(components))
