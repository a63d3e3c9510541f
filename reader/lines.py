"""Erase the lines of squared paper, forms and ruled paper, which digits may touch."""

import numpy as np
from scipy import ndimage

from reader.image_ops import EIGHT_CONNECTED, FAINT, label_ink, opened


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
