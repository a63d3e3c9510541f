"""Ink → 28×28 pixels, the format of MNIST's digits.

LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.A: the digit is scaled to fit
a box of 20×20 pixels, and its centre of mass is moved to the middle of the image. web/draw.template.html does the same.
"""

import numpy as np
import torch

from reader.image_ops import bounding_box

SIZE = 28  # pixels of MNIST's images
BOX = 20  # pixels of the box that a digit fills


def to_mnist_format(ink):
    """Return `ink`, float [H, W] from 0 to 1, in the format of MNIST's images: uint8 [1, 1, 28, 28]."""
    cropped = ink[bounding_box(ink > 0.1)]
    height, width = (max(1, int(BOX * side / max(cropped.shape) + 0.5)) for side in cropped.shape)
    scaled = area_weights(cropped.shape[0], height) @ cropped @ area_weights(cropped.shape[1], width).T
    top, left = (centering_offset(scaled.sum(axis=axis)) for axis in (1, 0))
    image = np.zeros((SIZE, SIZE))
    image[top : top + height, left : left + width] = scaled / scaled.max()
    return torch.from_numpy(np.rint(255 * image).astype(np.uint8))[None, None]


def area_weights(n_in, n_out):
    """Return the matrix [n_out, n_in] that resamples `n_in` pixels to `n_out`, each the mean of the area it covers."""
    starts = np.arange(n_out)[:, None] * n_in / n_out
    overlap = np.minimum(starts + n_in / n_out, np.arange(n_in) + 1) - np.maximum(starts, np.arange(n_in))
    return np.maximum(overlap, 0) * n_out / n_in


def centering_offset(mass):
    """Return the pixel at which `mass`, the sums of all rows or columns, starts if its centre is to be at 14 of 28."""
    centre = (mass * np.arange(len(mass))).sum() / mass.sum()
    return int(np.clip(np.floor(SIZE / 2 - centre + 0.5), 0, SIZE - len(mass)))
