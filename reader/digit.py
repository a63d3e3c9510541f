"""Read one digit in a picture.

`load_image` turns a file, PIL image, array or tensor into brightness, `extract_ink` removes paper and clutter, and
`to_mnist_format` makes 28×28 pixels of the ink. The network classifies these, and sanity_checks.py looks for reasons to
doubt the answer.
"""

from reader.classify import classify
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.sanity_checks import find_warnings


def predict(model, image):
    """Return the probabilities of the ten digits for one picture, float32 [10] on the CPU.

    `image` is a path, an open binary file, a PIL image, or an array or tensor of bool, uint8, uint16, or float from 0
    to 1, with the shape [H, W], [1, H, W], [1, 1, H, W], [3, H, W] or [H, W, 1 to 4]. Size and colours do not matter,
    nor whether the digit is dark on light or light on dark; shadows, noise and a desk around the sheet are removed.

    Anything in the picture is read as one digit, even if it is none: see `warnings_of`. Raises ValueError if the input
    is not a picture or no strokes stand out in it, and OSError if the file cannot be read.
    """
    return classify(model, [extract_ink(load_image(image))])[0]


def warnings_of(model, image):
    """Return reasons to doubt the answer of `predict`, a list of sentences; empty if there are none.

    Each says how the picture differs from MNIST's digits, such as several shapes side by side, ink at the edge, very
    thick or thin strokes, or an answer that changes when the picture is rotated a little. An answer without a warning
    may still be wrong. Takes the same images and raises the same errors as `predict`.
    """
    return find_warnings(model, extract_ink(load_image(image)))
