"""Brightness → ink on nothing → 28×28, the form that MNIST's digits have.

`find_ink` takes away what is not ink, and `center_ink` brings the rest into 28×28 as LeCun et al. describe
("Gradient-based learning applied to document recognition", 1998, section III.A): scaled into a box of 20×20, its centre
of mass in the middle.
"""

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from reader.cleanup import keep_writing
from reader.image_ops import edge_of, shrink, split_in_two
from reader.paper import cut_out

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

    That part is shrunk to `longest` pixels at most. For `at_edge` see `pieces.keep_writing`.
    """
    brightness, (left, top) = cut_out(brightness)
    height, width = brightness.shape
    brightness = shrink(brightness, longest)
    ink = brightness if is_light_on_dark(brightness) else 1 - brightness
    ink = ink - paper_of(ink)
    faint = f"{FAINTEST:.0%} of the way from black to white"
    nothing = ValueError(f"no strokes stand out from the paper in the image, by {faint}; take it clearer or closer")
    if ink.max() < FAINTEST:
        raise nothing
    threshold = split_off_ink(ink)
    rest = ink[ink <= threshold]
    noise = 1.4826 * np.median(np.abs(rest - np.median(rest)))  # a standard deviation, whatever the outliers
    floor = np.median(rest) + 3 * noise
    full = np.median(ink[ink > threshold])
    if full - floor < FAINTEST:
        raise nothing
    return keep_writing(np.clip((ink - floor) / (full - floor), 0, 1), at_edge), (left, top, width, height)


def paper_of(ink):
    """Return what is left of `ink` [H, W] when all that is narrower than half of it is gone: paper, shadows and all.

    A shadow or a desk goes on beyond the edge of the picture, however narrow the part of it that is seen. It is told
    from ink that touches the edge by what it takes of it: two corners, or one and a third of the edge.
    """
    size = [min(max(3, max(ink.shape) // 2), side) for side in ink.shape]
    paper = ndimage.grey_opening(ink, size, mode="nearest")
    if np.ptp(edge_of(ink)) < FAINTEST:
        return paper
    beyond = [(side, side) for side in size]
    dark = ndimage.grey_opening(np.pad(ink, beyond, mode="edge"), size)[size[0] : -size[0], size[1] : -size[1]]
    pieces, _ = ndimage.label(dark > dark.min() + FAINTEST / 2)
    edge, corners = edge_of(pieces), pieces[[0, 0, -1, -1], [0, -1, 0, -1]].tolist()
    grounds = [n for n in set(corners) - {0} if corners.count(n) >= 2 or (edge == n).mean() > 0.3]
    return np.where(np.isin(pieces, grounds), dark, paper)


def is_light_on_dark(brightness):
    """Return whether what stands out of its surroundings, half the picture wide, is brighter than they are.

    Their median is the brightness of the paper, in shadow or not, as long as less than half of them is ink.
    """
    small = shrink(brightness, 48)
    paper = ndimage.median_filter(small, size=[side // 2 | 1 for side in small.shape], mode="nearest")
    paper = Image.fromarray(paper).resize(brightness.shape[::-1], Image.Resampling.BILINEAR)
    off = brightness - np.asarray(paper)
    return (np.maximum(off, 0) ** 2).sum() > (np.minimum(off, 0) ** 2).sum()


def split_off_ink(values):
    """Return the threshold above which `values` are ink, not what is left of shadows.

    Where a shadow is much larger than the ink, the best split is between paper and shadow. Then what lies above it is
    mostly shadow, far from the darkest ink, and is split again.
    """
    threshold, darkest = split_in_two(values), np.quantile(values, 0.9999)
    for _ in range(3):
        above = values[values > threshold]
        if np.median(above) > 0.35 * darkest:
            break
        threshold = split_in_two(above)
    return threshold


# --- Ink → 28×28 -----------------------------------------------------------------------------------------------------


def center_ink(ink):
    """Return `ink` [H, W] as MNIST has its digits: uint8 [1, 1, 28, 28]. web/draw.html does the same."""
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
