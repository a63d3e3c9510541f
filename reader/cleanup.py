"""Remove ink that is not writing: specks, punched holes, frames, lines, and dark corners of a scan."""

import numpy as np
from scipy import ndimage

from reader.image_ops import EIGHT_CONNECTED, border_values, corner_values

FAINT, CLEAR = 0.35, 0.5  # faint ink counts if it is connected to clear ink
MAX_FRAMES = 20


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
    return kept, is_number and holds_digits(np.isin(components, lines), median_height(components, labels))


def median_height(components, labels):
    """Return the height of the component of a typical pixel."""
    starts, stops = extents(components, labels)
    return np.median(np.repeat((stops - starts)[:, 0], np.bincount(components.ravel())[labels]))


def holds_digits(lines, height):
    """Return whether `lines`, bool [H, W], have strokes about as high as digits of this `height`."""
    length = int(1.5 * height) | 1
    straight = opened(lines, length, 0) | opened(lines, length, 1)
    strokes, _ = ndimage.label(lines & ~ndimage.binary_dilation(straight, iterations=2), EIGHT_CONNECTED)
    return any(rows.stop - rows.start > 0.6 * height for rows, _ in ndimage.find_objects(strokes))


def opened(mask, length, axis):
    """Return the pixels of `mask`, bool [H, W], in runs of at least `length`, odd, along an axis."""
    inside = ndimage.minimum_filter1d(mask.view(np.uint8), length, axis, mode="constant")
    return ndimage.maximum_filter1d(inside, length, axis, mode="constant").astype(bool)


def label_ink(ink, threshold=FAINT):
    """Return the connected components of `ink` [H, W], int [H, W] from 1, or 0 where there is none.

    Hysteresis thresholding (Canny, 1986): a component is made of ink above `threshold`, and has clear ink in it.
    """
    components, n = ndimage.label(ink > threshold, structure=EIGHT_CONNECTED)
    clear = np.zeros(n + 1, dtype=int)
    clear[np.unique(components[ink > CLEAR])] = 1
    clear[0] = 0
    return (np.cumsum(clear) * clear)[components]


# --- Lines that digits may touch -------------------------------------------------------------------------------------


def erase_grid(ink, is_number):
    """Return `ink` [H, W] without the lines of squared paper or of a form; strokes that cross them are closed.

    They are at least two thin parallel lines across the whole picture; of a number, two horizontal ones.
    """
    across, n_across, thickness = lines_across(ink > FAINT)
    down, n_down, other_thickness = lines_across(ink.T > FAINT)
    if n_across < 2 and (is_number or n_down < 2):
        return ink
    erased = ndimage.binary_dilation(across | down.T)
    rest = np.where(erased, 0, ink)
    size = 2 * int(max(thickness, other_thickness)) + 5
    return np.where(erased, ndimage.grey_closing(rest, (size, size)), rest)


def lines_across(mask):
    """Return the pixels of thin, nearly horizontal lines across `mask`, bool [H, W], their number and thickness."""
    height, width = mask.shape
    runs, _ = ndimage.label(opened(mask, max(9, width // 6) | 1, 1), EIGHT_CONNECTED)
    lines, thicknesses = np.zeros_like(mask), []
    for label, (rows, columns) in enumerate(ndimage.find_objects(runs), start=1):
        line = runs[rows, columns] == label
        thickness = line.sum() / line.shape[1]
        is_thin = thickness <= max(2, 0.025 * max(height, width)) and len(line) < 4 * thickness
        if is_thin and line.shape[1] > 0.97 * width:
            lines[rows, columns] |= line
            thicknesses.append(thickness)
    return lines, len(thicknesses), max(thicknesses, default=0)


def erase_ruled_lines(ink):
    """Return `ink` [H, W] of a line of digits without horizontal lines across the picture."""
    height, width = ink.shape
    if width < 1.5 * height:  # or else it may be the bar of a large seven
        return ink
    ink = ink.copy()
    for _ in range(5):  # up to five lines may be merged into one component
        components = label_ink(ink)
        n_erased = 0
        for label, box in enumerate(ndimage.find_objects(components), start=1):
            if box[1].stop - box[1].start > 0.9 * width:
                line = ruled_line(components[box] == label)
                ink[box][line] = 0
                n_erased += line.sum()
        if n_erased == 0:
            break
    return ink


def ruled_line(component):
    """Return the pixels of a straight, nearly horizontal line across `component`, bool [h, w]; all False without one.

    Pixels where a stroke crosses the line are not part of it.
    """
    runs, _ = ndimage.label(component, structure=[[0, 1, 0]] * 3)  # vertical runs
    lengths = np.bincount(runs.ravel())
    thickness = np.median(lengths[1:])
    thin = component & (lengths[runs] <= 2 * thickness)
    rows, columns = np.nonzero(thin)
    inliers = np.ones(len(rows), dtype=bool)
    for _ in range(10):
        fitted_rows = np.polyval(np.polyfit(columns[inliers], rows[inliers], 1), columns)
        residuals = np.abs(rows - fitted_rows)
        inliers = residuals <= max(1.5 * thickness, np.median(residuals[inliers]))
    line = np.zeros(component.shape, dtype=bool)
    line[rows[inliers], columns[inliers]] = True
    return line if line.any(axis=0).mean() > 0.8 else np.zeros_like(line)


# --- Kinds of clutter: functions of components, int [H, W], and the labels, int [n], of those still kept -------------


def is_speck(components, labels, is_number):
    """Return which components are smaller than 1/50 of the largest, bool [n]."""
    areas = ndimage.sum_labels(components > 0, components, index=labels)
    inside = ~np.isin(labels, border_values(components))
    if not is_number and inside.any() and areas[inside].max() > areas.max() / 3:
        areas = areas * inside
    return areas < areas.max() / 50


def is_frame(components, labels, _):
    """Return which components enclose others at least a quarter as wide or as high as themselves, bool [n].

    To save time, only the `MAX_FRAMES` largest are examined.
    """
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
                row &= areas > np.median(areas[row]) / 2 if row.any() else False
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


def extents(components, labels):
    """Return the first and the last row and column plus 1 of the components: two arrays, int [n, 2]."""
    boxes = ndimage.find_objects(components)
    starts = [[side.start for side in boxes[label - 1]] for label in labels]
    return np.array(starts), np.array([[side.stop for side in boxes[label - 1]] for label in labels])


def is_in_corner(components, labels, _):
    """Return which components are in a corner of the picture, as the dark corners of a scan are, bool [n]."""
    return np.isin(labels, corner_values(components))
