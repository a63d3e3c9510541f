"""Read handwritten digits in photographs: one digit, or a number of several."""

from model import load_net
from reader.digit_string import read_number, text_of
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.sanity_checks import classify_rotated, find_warnings

__all__ = ["load_net", "read_digit", "read_number", "text_of"]


def read_digit(model, picture):
    """Return the probabilities of the ten digits for one picture, and reasons to doubt them.

    `picture` is a path, an open binary file, a PIL image, or an array or tensor of bool, uint8, uint16, or float from 0
    to 1, with the shape [H, W], [1, H, W], [1, 1, H, W], [3, H, W] or [H, W, 1 to 4]. Size and colours do not matter,
    nor whether the digit is dark on light or light on dark; shadows, noise and a desk around the sheet are removed.

    The probabilities, float32 [10] on the CPU, are the mean over the ink, unrotated and rotated by ±8°. Whatever the
    picture shows is read as a digit. The reasons, a list of sentences, say how it differs from MNIST's digits, such as
    several shapes side by side, ink at the edge, very thick or thin strokes, or an answer that changes with the
    rotation. An answer without a warning may still be wrong. Raises ValueError if the input is not a picture or no
    strokes stand out in it, and OSError if the file cannot be read.
    """
    ink = extract_ink(load_image(picture))
    probabilities = classify_rotated(model, ink)
    return probabilities.mean(dim=0), find_warnings(ink, probabilities)
