"""What is drawn or punched around the writing is removed, and the writing is kept."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from reader import predict
from reader.cleanup import remove_clutter
from reader.samples.synthetic_photos import draw_digit


def drawing(draw_it, size=(300, 200)):
    canvas = Image.new("L", size)
    draw_it(ImageDraw.Draw(canvas))
    return np.asarray(canvas, dtype=np.float32) / 255


def digit(number, square, size=(300, 200)):
    return draw_digit(number, size, 6, square, np.random.default_rng(0)).astype(np.float32)


@pytest.mark.parametrize("level", ["a box", "a circle", "spiral holes", "two holes", "margin line"])
def test_predict_ignores_what_is_around_the_digit(net, photos, level):
    right = [int(predict(net, image).argmax()) == number for image, number in photos("on the sheet", level)]
    assert sum(right) >= len(right) - 1


@pytest.mark.parametrize("angle", [0, 6])
def test_remove_clutter_removes_a_box_and_keeps_the_digit(angle):
    box = Image.fromarray(drawing(lambda draw: draw.rectangle((70, 20, 230, 180), outline=255, width=4)))
    box, three = np.asarray(box.rotate(angle)), digit(3, (90, 40, 120))
    kept = remove_clutter(np.maximum(box, three))
    assert kept[three > 0.5].min() > 0.5
    assert kept[(box > 0.5) & (three < 0.1)].mean() < 0.05


def test_remove_clutter_keeps_a_zero_with_a_dot():
    zero = digit(0, (50, 10, 180))
    dotted = np.maximum(zero, drawing(lambda draw: draw.ellipse((134, 84, 146, 96), fill=255)))
    np.testing.assert_array_equal(remove_clutter(dotted)[dotted > 0.5], dotted[dotted > 0.5])


@pytest.mark.parametrize("turns", range(4))
def test_remove_clutter_removes_holes_along_any_side(turns):
    holes = drawing(lambda draw: [draw.ellipse((x, 6, x + 14, 20), fill=255) for x in range(10, 290, 40)])
    ones = np.maximum.reduce([digit(1, (left, 120, 70)) for left in (30, 100, 170)])  # along a side, too
    kept = remove_clutter(np.rot90(np.maximum(holes, ones), turns))
    assert kept[np.rot90(ones, turns) > 0.5].min() > 0.5
    assert kept[np.rot90(holes, turns) > 0.5].max() == 0
