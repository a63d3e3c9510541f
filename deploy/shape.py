"""What a shape of ink is like, in numbers that MNIST's digits can be asked for, too."""

import numpy as np
from PIL import Image
from scipy import ndimage

from deploy.pieces import EIGHT

HEIGHT = 160  # pixels: where the longer side of the ink's box has fewer, it is enlarged
BOX = 20  # pixels of that side in MNIST: the unit of lengths


def measure(ink):
    """Return the measures of `ink`, float [H, W] from 0 to 1, as a dictionary of floats.

    `stroke` is how wide the strokes are, in pixels of MNIST's box of 20×20. `width` is the box's width over its height.
    `loops` is how many areas the ink encloses. `beside` is how high the next piece beside the largest one is, as a
    share of the higher of the two; 0 where there is none.
    """
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis=axis)) for axis in (1, 0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    scale = max(1, HEIGHT / max(cropped.shape))
    size = [max(1, round(scale * side)) for side in cropped.shape[::-1]]
    shape = np.pad(np.asarray(Image.fromarray(cropped).resize(size, Image.Resampling.BILINEAR)) > 0.5, 8)
    # In a stroke of width w the mean distance to its edge is a quarter of w.
    stroke = 4 * ndimage.distance_transform_edt(shape)[shape].mean() * BOX / max(shape.shape)
    whole = ndimage.binary_dilation(shape, EIGHT, iterations=max(shape.shape) // 80)  # thin strokes may have gaps
    return {
        "stroke": float(stroke),
        "width": cropped.shape[1] / cropped.shape[0],
        "loops": float(loops(whole)),
        "beside": beside(whole),
    }


def loops(shape):
    """Return how many areas the bool [H, W] `shape` encloses, those left out that are tiny."""
    areas = np.bincount(ndimage.label(~shape)[0].ravel())[2:]  # after the shape and what is around it
    return int((areas >= (max(shape.shape) / 40) ** 2).sum())


def beside(shape):
    """Return how high the highest piece beside the largest one is, as a share of the higher of the two, or 0.

    Beside it is what shares less than a third of its own columns with it.
    """
    pieces, _ = ndimage.label(shape, structure=EIGHT)
    first = 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    boxes = ndimage.find_objects(pieces)
    (top, left), (bottom, right) = ((part.start for part in boxes[first - 1]), (part.stop for part in boxes[first - 1]))
    share = 0.0
    for rows, columns in (box for i, box in enumerate(boxes, start=1) if i != first):
        common = min(right, columns.stop) - max(left, columns.start)
        if common < (columns.stop - columns.start) / 3:
            heights = sorted((rows.stop - rows.start, bottom - top))
            share = max(share, heights[0] / heights[1])
    return share
