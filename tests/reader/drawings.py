"""Helpers of the reader's tests: draw ink, turn it into a picture, read it."""

import numpy as np
from PIL import Image, ImageDraw

from experiments.synthetic_photos import draw_digit
from reader import read_digit


def ink_of(digit, square, size=(300, 200), pen=6, seed=0):
    """Return the ink of `digit` in `square`, (left, top, side), of a picture of `size`: float [H, W] from 0 to 1."""
    return draw_digit(digit, size, pen, square, np.random.default_rng(seed))


def ink_by(draw_it, size=(300, 200)):
    """Return the ink that the function `draw_it` draws, float32 [H, W] from 0 to 1."""
    canvas = Image.new("L", size)
    draw_it(ImageDraw.Draw(canvas))
    return np.asarray(canvas, dtype=np.float32) / 255


def as_image(ink):
    """Return `ink` as black on white, a grey PIL image."""
    return Image.fromarray(np.uint8(255 * (1 - ink)))


def read(net, image):
    return int(read_digit(net, image)[0].argmax())


def count_right(net, photos):
    """Return how many of `photos`, pictures with their digits, are read correctly."""
    return sum(read(net, image) == digit for image, digit in photos)
