"""What is drawn or punched around the writing is removed, and the writing is kept."""

import numpy as np
import pytest
from drawings import count_right, ink_by, ink_of, read
from PIL import Image

from reader.cleanup import remove_clutter


def read_ink(net, ink):
    return read(net, 0.95 - 0.8 * ink)


def rectangle(*corners):
    return ink_by(lambda draw: draw.rectangle(corners, fill=255))


def box(*corners, angle=0):
    drawn = ink_by(lambda draw: draw.rectangle(corners, outline=255, width=4))
    return np.asarray(Image.fromarray(drawn).rotate(angle))


def holes(*places):
    return ink_by(lambda draw: [draw.ellipse((x, y, x + 14, y + 14), fill=255) for x, y in places])


def strokes(*lines, size=(100, 160)):
    return ink_by(lambda draw: [draw.line(line, fill=255, width=6) for line in lines], size)


CLUTTER = {
    "box": box(70, 20, 230, 180),
    "tilted box": box(70, 20, 230, 180, angle=6),
    "large box": box(5, 5, 295, 195),
    "side of a printed box": rectangle(276, 12, 290, 190),
    "line below": rectangle(10, 176, 290, 186),
    "line above": rectangle(80, 8, 292, 20),
    "ruled line": rectangle(0, 170, 300, 173),
    "holes along the top": holes(*[(x, 6) for x in range(10, 290, 40)]),
    "holes along the bottom": holes(*[(x, 180) for x in range(10, 290, 40)]),
    "holes along the left side": holes(*[(6, y) for y in range(10, 190, 40)]),
    "two holes along the right side": holes((280, 50), (280, 130)),
    "specks": rectangle(6, 6, 9, 9) + rectangle(285, 185, 288, 188),
}


@pytest.mark.parametrize("name", CLUTTER)
def test_read_digit_ignores_what_is_around_the_digit(net, name):
    inks = [np.maximum(ink_of(digit, (95, 55, 100)), CLUTTER[name]) for digit in (1, 2, 5, 7)]
    assert [read_ink(net, ink) for ink in inks] == [1, 2, 5, 7]


@pytest.mark.parametrize("level", ["a circle", "two holes", "margin line"])
def test_read_digit_ignores_what_is_on_the_sheet(net, photos, level):
    assert count_right(net, photos("on the sheet", level)) >= 7  # of 8


WRITING = {
    "a zero with a dot": np.maximum(ink_of(0, (50, 10, 180)), holes((133, 83))),
    "a one as long as the picture": strokes((25, 0, 15, 120), size=(40, 120)),
    "a four in two parts": strokes((20, 8, 20, 90, 74, 90), (84, 4, 80, 150))[:156, 8:92],
    "a seven in two parts": strokes((14, 20, 86, 14), (78, 24, 50, 150))[:156, 8:92],
}


@pytest.mark.parametrize("name", WRITING)
def test_remove_clutter_keeps_writing(name):
    ink = WRITING[name]
    np.testing.assert_array_equal(remove_clutter(ink)[ink > 0.5], ink[ink > 0.5])


def test_read_digit_reads_strokes_that_become_faint(net):
    """The upper half has less than half of the contrast, but is connected to the lower."""
    fade = np.where(np.arange(200) < 100, 0.45, 1)[:, None]
    digits = [0, 3, 6, 8, 9]
    assert [read_ink(net, fade * ink_of(digit, (80, 20, 160), pen=9)) for digit in digits] == digits


def test_read_digit_reads_strokes_of_one_pixel_in_a_large_picture(net):
    inks = [ink_of(digit, (90, 30, 260), size=(440, 320), pen=1) for digit in range(10)]
    assert [read_ink(net, ink) for ink in inks] == list(range(10))
