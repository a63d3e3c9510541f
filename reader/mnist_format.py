"""Ink → 28×28 pixels, the format of MNIST's digits → probabilities.

LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.A: the digit is scaled to fit
a box of 20×20 pixels, and its centre of mass is moved to the middle of the image. web/draw.template.html does the same.
"""

import numpy as np
import torch
from scipy import ndimage

import utils
from reader.image_ops import bounding_box

SIZE = 28  # pixels of MNIST's images
BOX = 20  # pixels of the box that a digit fills
MIN_STROKE_WIDTH = 1.5  # pixels in that box; MNIST has hardly any thinner strokes


def classify(model, inks):
    """Return the probabilities of the ten digits for each of `inks`, float [H, W] from 0 to 1: float32 [N, 10]."""
    images = torch.cat([to_mnist_format(ink) for ink in inks]).to(next(model.parameters()).device)
    return utils.compute_logits(model, images).softmax(dim=1).cpu()


def to_mnist_format(ink):
    """Return `ink`, float [H, W] from 0 to 1, in the format of MNIST's images: uint8 [1, 1, 28, 28]."""
    cropped = thicken(ink[bounding_box(ink > 0.1)])
    height, width = (max(1, int(BOX * side / max(cropped.shape) + 0.5)) for side in cropped.shape)
    scaled = area_weights(cropped.shape[0], height) @ cropped @ area_weights(cropped.shape[1], width).T
    top, left = (centering_offset(scaled.sum(axis=axis)) for axis in (1, 0))
    image = np.zeros((SIZE, SIZE))
    image[top : top + height, left : left + width] = scaled / scaled.max()
    return torch.from_numpy(np.rint(255 * image).astype(np.uint8))[None, None]


def thicken(ink):
    """Widen the strokes of `ink`, float [h, w], to `MIN_STROKE_WIDTH` if they are thinner; else return it unchanged.

    Scaled to 20×20, thin strokes would be grey, unlike MNIST's.
    """
    mask = ink > ink.max() / 2
    # Across a stroke of width w, the mean distance to the nearest pixel outside is about (w + 2) / 4.
    width = 4 * ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1][mask].mean() - 2
    radius = (MIN_STROKE_WIDTH * max(ink.shape) / BOX - width) / 2
    if radius <= 0:
        return ink
    margin = int(np.ceil(radius))
    distances = ndimage.distance_transform_edt(np.pad(~mask, margin, constant_values=True))
    return np.maximum(np.pad(ink, margin), np.clip(radius + 0.5 - distances, 0, 1))


def area_weights(n_in, n_out):
    """Return the matrix [n_out, n_in] that resamples `n_in` pixels to `n_out`, each the mean of the area it covers."""
    starts = np.arange(n_out)[:, None] * n_in / n_out
    overlap = np.minimum(starts + n_in / n_out, np.arange(n_in) + 1) - np.maximum(starts, np.arange(n_in))
    return np.maximum(overlap, 0) * n_out / n_in


def centering_offset(mass):
    """Return the pixel at which `mass`, the sums of all rows or columns, starts if its centre is to be at 14 of 28."""
    centre = (mass * np.arange(len(mass))).sum() / mass.sum()
    return int(np.clip(np.floor(SIZE / 2 - centre + 0.5), 0, SIZE - len(mass)))
