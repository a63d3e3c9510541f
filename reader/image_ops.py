"""Basic image operations that several steps share."""

import numpy as np
from PIL import Image
from scipy import ndimage

EIGHT_CONNECTED = np.ones((3, 3), dtype=bool)  # pixels that touch at a corner belong to the same component
FAINT, CLEAR = 0.35, 0.5  # faint ink counts if it is connected to clear ink


def shrink(image, longest):
    """Shrink float32 `image` [H, W] until its longer side has at most `longest` pixels, each the mean of its area."""
    height, width = image.shape
    scale = longest / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))


def resize(image, shape):
    """Resize float32 `image` [H, W] to `shape`, (height, width), by bilinear interpolation."""
    return np.asarray(Image.fromarray(image).resize(shape[::-1], Image.Resampling.BILINEAR))


def border_values(image):
    """Return the values of `image` [H, W] along its border, [2 H + 2 W]."""
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def corner_values(image):
    """Return the values of `image` [H, W] in its four corners, [4]."""
    return image[[0, 0, -1, -1], [0, -1, 0, -1]]


def label_ink(ink, threshold=FAINT):
    """Return the connected components of `ink` [H, W], int [H, W] from 1, or 0 where there is none.

    Hysteresis thresholding (Canny, 1986): a component is made of ink above `threshold`, and has clear ink in it.
    """
    mask = ndimage.binary_propagation(ink > CLEAR, EIGHT_CONNECTED, mask=ink > threshold)
    return ndimage.label(mask, EIGHT_CONNECTED)[0]


def opened(mask, length, axis):
    """Return the pixels of `mask`, bool [H, W], in runs of at least `length`, odd, along an axis."""
    inside = ndimage.minimum_filter1d(mask.view(np.uint8), length, axis, mode="constant")
    return ndimage.maximum_filter1d(inside, length, axis, mode="constant").astype(bool)


def bounding_box(mask):
    """Return the smallest (rows, columns) pair of slices that contains all True pixels of `mask`, bool [H, W]."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def otsu_threshold(values):
    """Return the threshold with the largest variance between the two classes it makes of `values` (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    sums = np.cumsum(counts * centres)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return edges[1:-1][np.argmax(below * above * (means[0] - means[1]) ** 2)]
