"""What the sheet, the ink and its pieces are found with: a smaller picture, its edge, the best split in two."""

import numpy as np
from PIL import Image


def shrink(brightness, longest):
    """Return `brightness` with its longer side at most `longest` pixels, each the mean of what it covers."""
    height, width = brightness.shape
    scale = longest / max(height, width)
    if scale >= 1:
        return brightness
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(brightness).resize(size, Image.Resampling.BOX))


def split_in_two(values):
    """Return the threshold that splits `values` best: the largest variance between the parts (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    sums = np.cumsum(counts * centres)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return edges[1:-1][np.argmax(below * above * (means[0] - means[1]) ** 2)]


def edge_of(values):
    """Return the values along the edge of the picture, [2 H + 2 W]."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
