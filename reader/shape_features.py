"""Shape features of ink, comparable with those of MNIST's digits."""

import numpy as np
from PIL import Image
from scipy import ndimage

from reader.image_ops import EIGHT_CONNECTED, bounding_box
from reader.mnist_format import BOX

MIN_SIZE, MAX_SIZE = 160, 320  # pixels: ink is enlarged or shrunk to such a longer side before it is measured


def shape_features(ink):
    """Return the shape features of `ink`, float [H, W] from 0 to 1, a dictionary of floats.

    - `stroke_width`: mean width of the strokes in pixels, with the digit scaled to MNIST's box of 20×20
    - `aspect_ratio`: width of the bounding box divided by its height
    - `n_holes`: number of areas that the ink encloses
    - `neighbour_height`: height of the tallest component beside the largest one, or of the largest one if that is
      lower, as a fraction of the other; 0 if there is none
    - `largest_gap`: largest distance from a component to the nearest other one, as a fraction of the longer side of
      the bounding box; 0 if there is only one component
    """
    cropped = (ink / ink.max())[bounding_box(ink > ink.max() / 2)].astype(np.float32)
    longest = int(np.clip(max(cropped.shape), MIN_SIZE, MAX_SIZE))
    size = [max(1, round(longest * n / max(cropped.shape))) for n in cropped.shape[::-1]]
    mask = np.pad(np.asarray(Image.fromarray(cropped).resize(size, Image.Resampling.BILINEAR)) > 0.5, 8)
    # Across a stroke of width w, the mean distance to its edge is w / 4.
    stroke_width = 4 * ndimage.distance_transform_edt(mask)[mask].mean() * BOX / longest
    closed = ndimage.binary_dilation(mask, EIGHT_CONNECTED, iterations=longest // 80)  # bridges gaps in thin strokes
    components, _ = ndimage.label(closed, structure=EIGHT_CONNECTED)
    hole_areas = np.bincount(ndimage.label(~closed)[0].ravel())[2:]  # 0 is the ink, 1 is what surrounds it
    return {
        "stroke_width": float(stroke_width),
        "aspect_ratio": cropped.shape[1] / cropped.shape[0],
        "n_holes": float((hole_areas >= (longest / 40) ** 2).sum()),
        "neighbour_height": neighbour_height(components),
        "largest_gap": largest_gap(components) / longest,
    }


def neighbour_height(components):
    """Return the height of the tallest component beside the largest one, as a ratio of the two heights up to 1, or 0.

    A component is beside the largest one if less than a third of its columns are shared. `components` is int [H, W].
    """
    largest = np.argmax(np.bincount(components.ravel())[1:])
    boxes = ndimage.find_objects(components)
    rows_of_largest, columns_of_largest = boxes[largest]
    ratio = 0.0
    for rows, columns in (box for i, box in enumerate(boxes) if i != largest):
        shared = min(columns_of_largest.stop, columns.stop) - max(columns_of_largest.start, columns.start)
        if shared < (columns.stop - columns.start) / 3:
            lower, higher = sorted(part.stop - part.start for part in (rows, rows_of_largest))
            ratio = max(ratio, lower / higher)
    return ratio


def largest_gap(components, n_largest=10):
    """Return the largest distance in pixels from one of the `n_largest` components to its nearest other one, or 0.

    `components` is int [H, W], 0 where there is no ink.
    """
    areas = np.bincount(components.ravel())[1:]
    largest = 1 + np.argsort(-areas)[:n_largest]
    if len(largest) < 2:
        return 0.0
    ink = components > 0
    return max(
        float(ndimage.distance_transform_edt(~(ink & (components != n)))[components == n].min()) for n in largest
    )
