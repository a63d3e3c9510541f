"""What a shape of ink is like, in numbers that MNIST's digits can be asked for, too."""

import numpy as np
from PIL import Image
from scipy import ndimage

from reader.cleanup import EIGHT

HEIGHT = 160  # pixels: where the longer side of the ink's box has fewer, it is enlarged
BOX = 20  # pixels of that side in MNIST: the unit of lengths


def measure(ink):
    """Return the measures of `ink`, float [H, W] from 0 to 1, as a dictionary of floats.

    `stroke` is how wide the strokes are, in pixels of MNIST's box of 20×20. `width` is the box's width over its height.
    `loops` is how many areas the ink encloses. `beside` is how high the next piece beside the largest one is, as a
    share of the higher of the two, and `apart` how far a piece is at the most from the next one, as a share of the
    box's longer side; both are 0 where there is one piece alone.
    """
    rows, columns = (np.flatnonzero((ink > 0.5).any(axis=axis)) for axis in (1, 0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    side = max(HEIGHT, *cropped.shape)
    size = [max(1, round(side * n / max(cropped.shape))) for n in cropped.shape[::-1]]
    shape = np.pad(np.asarray(Image.fromarray(cropped).resize(size, Image.Resampling.BILINEAR)) > 0.5, 8)
    # In a stroke of width w the mean distance to its edge is a quarter of w.
    stroke = 4 * ndimage.distance_transform_edt(shape)[shape].mean() * BOX / side
    whole = ndimage.binary_dilation(shape, EIGHT, iterations=side // 80)  # thin strokes may have gaps
    pieces, _ = ndimage.label(whole, structure=EIGHT)
    return {
        "stroke": float(stroke),
        "width": cropped.shape[1] / cropped.shape[0],
        "loops": float(loops(whole, smallest=(side / 40) ** 2)),
        "beside": beside(pieces),
        "apart": apart(pieces) / side,
    }


def loops(shape, smallest):
    """Return how many areas of at least `smallest` pixels the bool [H, W] `shape` encloses."""
    areas = np.bincount(ndimage.label(~shape)[0].ravel())[2:]  # after the shape and what is around it
    return int((areas >= smallest).sum())


def beside(pieces):
    """Return how high the highest piece beside the largest one is, as a share of the higher of the two, or 0.

    Beside it is what shares less than a third of its own columns with it. `pieces` is int [H, W], 0 where no ink is.
    """
    first = np.argmax(np.bincount(pieces.ravel())[1:])
    boxes = ndimage.find_objects(pieces)
    rows_of_first, columns_of_first = boxes[first]
    share = 0.0
    for rows, columns in (box for i, box in enumerate(boxes) if i != first):
        common = min(columns_of_first.stop, columns.stop) - max(columns_of_first.start, columns.start)
        if common < (columns.stop - columns.start) / 3:
            lower, higher = sorted(part.stop - part.start for part in (rows, rows_of_first))
            share = max(share, lower / higher)
    return share


def apart(pieces, most=10):
    """Return how far a piece is from the next one at the most, in pixels, or 0. Only the `most` largest are asked.

    `pieces` is int [H, W], 0 where no ink is.
    """
    areas = np.bincount(pieces.ravel())[1:]
    largest = 1 + np.argsort(-areas)[:most]
    if len(largest) < 2:
        return 0.0
    others = pieces > 0
    return max(
        float(ndimage.distance_transform_edt(~(others & (pieces != number)))[pieces == number].min())
        for number in largest
    )
