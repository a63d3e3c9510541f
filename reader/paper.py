"""Where is the paper? A sheet on a desk is found and cut out; of a picture that is all paper nothing changes."""

import numpy as np
from PIL import Image
from scipy import ndimage

from reader.image_ops import shrink, split_in_two

SMALLEST = 0.2  # of the picture: what is smaller is no sheet
STRAIGHT = 0.88  # of the smallest rectangle around it a sheet fills, in perspective; a disc fills 0.79
STANDS_OUT = 0.1  # of the way from black to white: so much brighter or darker than the desk a sheet is


def cut_out(brightness):
    """Return the part of `brightness`, float32 [H, W], in which a sheet lies on a desk, and where it begins: left, top.

    Where none does, that is all of it. What of the desk is in that part gets the brightness of the sheet beside it.
    """
    small = ndimage.median_filter(shrink(brightness, 64), 7, mode="nearest")  # without what is written
    sheet = find_sheet(small)
    if sheet is None:
        return brightness, (0, 0)
    sheet = ndimage.binary_erosion(sheet)  # its edge may be half a pixel off, and cast a shadow
    if not sheet.any():
        return brightness
    nearest = ndimage.distance_transform_edt(~sheet, return_distances=False, return_indices=True)
    paper = small[tuple(nearest)]
    size = brightness.shape[::-1]
    inside = np.asarray(Image.fromarray(sheet.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)) > 0.75
    paper = np.asarray(Image.fromarray(paper).resize(size, Image.Resampling.BILINEAR))
    if not inside.any():
        return brightness
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return np.where(inside, brightness, paper)[part], (columns[0], rows[0])


def find_sheet(brightness):
    """Return where a sheet lies on a desk, bool [H, W], or None: one even, straight-edged area inside of another."""
    threshold = split_in_two(brightness)
    for side in (brightness > threshold, brightness <= threshold):
        pieces, n = ndimage.label(side)
        if n == 0:
            continue
        sheet = pieces == 1 + np.argmax(ndimage.sum_labels(side, pieces, index=range(1, n + 1)))
        filled = ndimage.binary_fill_holes(sheet)
        if (
            filled.mean() >= SMALLEST
            and sum(line.any() for line in (filled[0], filled[-1], filled[:, 0], filled[:, -1])) <= 1
            and abs(np.median(brightness[sheet]) - np.median(brightness[~filled])) >= STANDS_OUT
            and filled.sum() <= 1.1 * sheet.sum()
            and share_of_rectangle(filled) >= STRAIGHT
        ):
            return filled
    return None


def share_of_rectangle(shape):
    """Return how much of the smallest rectangle around it, however turned, the bool [H, W] `shape` fills."""
    rows, columns = np.nonzero(shape)
    angles = np.deg2rad(np.arange(0, 90, 3))[:, None]
    sides = (np.ptp(columns * np.cos(turn) + rows * np.sin(turn), axis=1) + 1 for turn in (angles, angles + np.pi / 2))
    return len(rows) / np.prod(list(sides), axis=0).min()
