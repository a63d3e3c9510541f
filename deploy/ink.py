"""Brightness → ink on nothing → 28×28, the form that MNIST's digits have.

`find_ink` takes away what is not ink, and `center_ink` brings the rest into 28×28 as LeCun et al. describe
("Gradient-based learning applied to document recognition", 1998, section III.A): scaled into a box of 20×20, its centre
of mass in the middle.
"""

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

LONGEST = 320  # pixels: larger pictures are shrunk first, since nothing smaller than a stroke matters
FAINTEST = 0.08  # of the way from black to white: ink that stands out less is no ink

# --- Brightness → ink ------------------------------------------------------------------------------------------------


def find_ink(brightness):
    """Return how much ink is on each pixel, float32 [H, W] from 0 to 1, whatever its colour and that of the paper.

    `brightness` is float32 [H, W] from 0 to 1. Shadows, noise and specks are taken away. Raises ValueError where
    nothing stands out.
    """
    return locate_ink(brightness)[0]


def locate_ink(brightness, longest=LONGEST, at_edge=False):
    """Return what `find_ink` does, and which part of the picture it is: left, top, width and height in its pixels.

    That part is shrunk to `longest` pixels at most. For `at_edge` see `without_specks`.
    """
    height, width = brightness.shape
    brightness = shrink(brightness, longest)
    edge = np.concatenate([brightness[0], brightness[-1], brightness[:, 0], brightness[:, -1]])
    paper = np.median(edge)
    ink = 1 - brightness if paper - brightness.min() > brightness.max() - paper else brightness
    # The paper, shadows and all, is what is left of a picture when all that is narrower than half of it is gone.
    size = max(3, max(ink.shape) // 2)
    ink = ink - ndimage.grey_opening(ink, size=[min(size, side) for side in ink.shape], mode="nearest")
    nothing = ValueError("there is nothing in the image: no ink stands out from the paper")
    if ink.max() < FAINTEST:
        raise nothing
    threshold = split_in_two(ink)
    rest = ink[ink <= threshold]
    noise = 1.4826 * np.median(np.abs(rest - np.median(rest)))  # a standard deviation, whatever the outliers
    floor = np.median(rest) + 3 * noise
    full = np.median(ink[ink > threshold])
    if full - floor < FAINTEST:
        raise nothing
    return without_specks(np.clip((ink - floor) / (full - floor), 0, 1), at_edge), (0, 0, width, height)


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


def without_specks(ink, at_edge=False):
    """Return `ink` without what is smaller than a fiftieth of its largest piece, and without what is near no piece.

    Unless `at_edge`, pieces that touch the edge, such as a scan's dark corners, go too where there is something else.
    """
    pieces, n = ndimage.label(ink > 0.5, structure=np.ones((3, 3)))
    areas = ndimage.sum_labels(np.ones_like(ink), pieces, index=range(1, n + 1))
    inside = ~np.isin(range(1, n + 1), np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
    if not at_edge and inside.any() and areas[inside].max() > areas.max() / 3:
        areas = areas * inside
    large = 1 + np.flatnonzero(areas >= areas.max() / 50)
    return ink * ndimage.binary_dilation(np.isin(pieces, large), iterations=2)


# --- Ink → 28×28 -----------------------------------------------------------------------------------------------------


def center_ink(ink):
    """Return `ink` [H, W] as MNIST has its digits: uint8 [1, 1, 28, 28]. deploy/draw.html does the same."""
    rows, columns = (np.flatnonzero((ink > 0.1).any(axis=axis)) for axis in (1, 0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, int(20 * side / max(cropped.shape) + 0.5)) for side in cropped.shape)
    box = shares(cropped.shape[0], height) @ cropped @ shares(cropped.shape[1], width).T
    top, left = (place(box.sum(axis=axis)) for axis in (1, 0))
    image = np.zeros((28, 28))
    image[top : top + height, left : left + width] = box / box.max()
    return torch.from_numpy(np.rint(255 * image).astype(np.uint8))[None, None]


def shares(n, into):
    """Return how much of each of `n` pixels goes into each of `into`, [into, n], so that each is a mean by area."""
    starts = np.arange(into)[:, None] * n / into
    covered = np.minimum(starts + n / into, np.arange(n) + 1) - np.maximum(starts, np.arange(n))
    return np.maximum(covered, 0) * into / n


def place(mass):
    """Return where `mass`, one row of sums, has to begin so that its centre comes to lie on pixel 14 of 28."""
    centre = (mass * np.arange(len(mass))).sum() / mass.sum()
    return int(np.clip(np.floor(14 - centre + 0.5), 0, 28 - len(mass)))
