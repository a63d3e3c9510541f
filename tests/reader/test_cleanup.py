"""What is writing, and what is drawn or punched beside it."""

import numpy as np
import pytest
from helpers import photographs
from PIL import Image, ImageDraw

from model import load_net
from reader.cleanup import keep_writing
from reader.digit import find_ink, predict
from reader.samples import synthetic_photos as make


@pytest.fixture(scope="module")
def net():
    return load_net()


def ink_of(draw_it, size=(300, 200)):
    canvas = Image.new("L", size)
    draw_it(ImageDraw.Draw(canvas))
    return np.asarray(canvas, dtype=np.float32) / 255


def digit(number, where, size=(300, 200)):
    return make.draw(number, size, 6, where, np.random.default_rng(0)).astype(np.float32)


@pytest.mark.parametrize("kind", ["a box", "a circle", "spiral holes", "two holes", "margin line"])
def test_a_digit_is_read_whatever_is_around_it(net, kind):
    found = [int(predict(net, image).argmax()) == number for image, number in photographs("on the sheet", kind)]
    assert sum(found) >= len(found) - 1


@pytest.mark.parametrize("turn", [0, 6])
def test_a_box_goes_and_what_is_in_it_stays(turn):
    box = Image.fromarray(ink_of(lambda draw: draw.rectangle((70, 20, 230, 180), outline=255, width=4)))
    box = np.asarray(box.rotate(turn))
    three = digit(3, (90, 40, 120))
    kept = keep_writing(np.maximum(box, three))
    assert kept[three > 0.5].min() > 0.5
    assert kept[(box > 0.5) & (three < 0.1)].mean() < 0.05


def test_a_nought_with_a_dot_stays_whole():
    nought = digit(0, (50, 10, 180))
    dotted = np.maximum(nought, ink_of(lambda draw: draw.ellipse((134, 84, 146, 96), fill=255)))
    np.testing.assert_array_equal(keep_writing(dotted)[dotted > 0.5], dotted[dotted > 0.5])


@pytest.mark.parametrize("turns", range(4))
def test_holes_go_along_any_edge_and_digits_stay(turns):
    holes = ink_of(lambda draw: [draw.ellipse((x, 6, x + 14, 20), fill=255) for x in range(10, 290, 40)])
    ones = np.maximum.reduce([digit(1, (left, 120, 70)) for left in (30, 100, 170)])  # along an edge, too
    kept = keep_writing(np.rot90(np.maximum(holes, ones), turns))
    assert kept[np.rot90(ones, turns) > 0.5].min() > 0.5
    assert kept[np.rot90(holes, turns) > 0.5].max() == 0


def test_one_digit_beside_another_stays():
    """Several digits in a picture are not for `find_ink` to judge."""
    two = np.maximum(digit(2, (10, 30, 130)), digit(7, (160, 30, 130)))
    ink = find_ink(1 - 0.8 * two)
    for half in (np.s_[:, :150], np.s_[:, 150:]):
        assert ink[half][two[half] > 0.9].mean() > 0.8
