"""Find a sheet of paper that lies on a desk, and crop the picture to it."""

import numpy as np
from scipy import ndimage

from reader.image_ops import bounding_box, otsu_threshold, resize, shrink

MIN_AREA = 0.2  # a sheet covers at least this fraction of the picture
MIN_RECTANGULARITY = 0.88  # and of its smallest enclosing rectangle, perspective included; a disc covers 0.79
MIN_DESK_CONTRAST = 0.1  # difference in brightness between sheet and desk, where black is 0 and white 1


def crop_to_sheet(brightness):
    """Crop `brightness`, float32 [H, W], to the sheet of paper in it; return the crop and its (left, top).

    Desk pixels inside the crop get the brightness of the nearest paper. If there is no sheet on a desk, the picture is
    returned unchanged, with (0, 0).
    """
    small = ndimage.median_filter(shrink(brightness, 64), 7, mode="nearest")  # large enough to remove the writing
    sheet = find_sheet(small)
    interior = ndimage.binary_erosion(sheet)  # the edge may be half a pixel off, and cast a shadow
    inside = resize(interior.astype(np.float32), brightness.shape) > 0.75
    if not inside.any():
        return brightness, (0, 0)
    nearest = ndimage.distance_transform_edt(~interior, return_distances=False, return_indices=True)
    paper = resize(small[tuple(nearest)], brightness.shape)
    contrast = abs(np.median(small[sheet]) - np.median(small[~sheet]))
    is_ink = np.abs(brightness - paper) > 1.2 * contrast
    edge = inside & ~ndimage.binary_erosion(inside, iterations=2)
    if is_ink[edge].mean() > 0.02:  # ink crosses the edge: it is a patch of light, not a sheet
        return brightness, (0, 0)
    rows, columns = bounding_box(inside)
    return np.where(inside, brightness, paper)[rows, columns], (int(columns.start), int(rows.start))


def find_sheet(brightness):
    """Return the mask, bool [H, W], of one even area with straight edges inside another; all False if there is none."""
    threshold = otsu_threshold(brightness)
    for side in (brightness > threshold, brightness <= threshold):
        components, n = ndimage.label(side)
        if n == 0:
            continue
        sheet = components == 1 + np.argmax(ndimage.sum_labels(side, components, index=range(1, n + 1)))
        filled = ndimage.binary_fill_holes(sheet)
        sides_touched = sum(line.any() for line in (filled[0], filled[-1], filled[:, 0], filled[:, -1]))
        if (
            filled.mean() >= MIN_AREA
            and sides_touched <= 1
            and abs(np.median(brightness[sheet]) - np.median(brightness[~filled])) >= MIN_DESK_CONTRAST
            and filled.sum() <= 1.1 * sheet.sum()
            and rectangularity(filled) >= MIN_RECTANGULARITY
        ):
            return filled
    return np.zeros(brightness.shape, dtype=bool)


def rectangularity(mask):
    """Return which fraction of its smallest enclosing rectangle, at any angle, `mask`, bool [H, W], covers."""
    rows, columns = np.nonzero(mask)
    angles = np.deg2rad(np.arange(0, 90, 3))[:, None]
    sides = (np.ptp(columns * np.cos(a) + rows * np.sin(a), axis=1) + 1 for a in (angles, angles + np.pi / 2))
    return len(rows) / np.prod(list(sides), axis=0).min()
