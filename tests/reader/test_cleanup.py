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


def digit(number, square, size=(300, 200), pen=6):
    return draw_digit(number, size, pen, square, np.random.default_rng(0)).astype(np.float32)


def read(net, ink):
    return int(predict(net, 0.95 - 0.8 * ink).argmax())


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


def test_remove_clutter_removes_a_speck_beside_a_stroke():
    ink = np.zeros((80, 60))
    ink[10:70, 20:26] = 1
    ink[30:32, 27:29] = 1
    assert remove_clutter(ink)[30:32, 27:29].max() == 0


@pytest.mark.parametrize("height", [60, 120])
def test_remove_clutter_removes_a_box_around_a_small_digit(height):
    box = drawing(lambda draw: draw.rectangle((60, 10, 240, 190), outline=255, width=4))
    three = digit(3, (150 - height // 2, 100 - height // 2, height))
    kept = remove_clutter(np.maximum(box, three))
    assert kept[three > 0.5].min() > 0.5
    assert kept[(box > 0.5) & (three < 0.1)].max() == 0


LINES = {
    "side of a printed box": (276, 12, 290, 190),
    "line below": (10, 176, 290, 186),
    "line above": (80, 8, 292, 20),
    "ruled line": (0, 170, 300, 173),
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("number", [2, 5, 7])
def test_predict_ignores_printed_lines(net, line, number):
    ink = np.maximum(digit(number, (95, 55, 100)), drawing(lambda draw: draw.rectangle(LINES[line], fill=255)))
    assert read(net, ink) == number


def test_remove_clutter_keeps_a_one_that_is_as_long_as_the_picture():
    one = drawing(lambda draw: draw.line((25, 0, 15, 120), fill=255, width=6), (40, 120))
    np.testing.assert_array_equal(remove_clutter(one)[one > 0.5], one[one > 0.5])


BROKEN = {
    4: [(20, 8, 20, 90, 74, 90), (84, 4, 80, 150)],
    7: [(14, 20, 86, 14), (78, 24, 50, 150)],
}


@pytest.mark.parametrize("number", BROKEN)
def test_remove_clutter_keeps_the_strokes_of_a_digit_in_two_parts(number):
    strokes = drawing(lambda draw: [draw.line(stroke, fill=255, width=6) for stroke in BROKEN[number]])
    ink = strokes[:156, 8:92]
    np.testing.assert_array_equal(remove_clutter(ink)[ink > 0.5], ink[ink > 0.5])


@pytest.mark.parametrize("number", [0, 3, 6, 8, 9])
def test_predict_reads_a_stroke_that_becomes_faint(net, number):
    """The upper half has less than half of the contrast, but is connected to the lower."""
    ink = digit(number, (80, 20, 160), pen=9)
    ink[:100] *= 0.45
    assert read(net, ink) == number


@pytest.mark.parametrize("number", range(10))
def test_predict_reads_strokes_of_two_pixels_in_a_large_picture(net, number):
    assert read(net, digit(number, (90, 30, 260), size=(440, 320), pen=2)) == number
