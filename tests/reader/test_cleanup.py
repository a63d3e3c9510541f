"""What is drawn or printed around the writing is removed, and the writing is kept."""

import numpy as np
import pytest
from drawings import ellipse, ink_of, ink_of_lines

from reader import read_digit
from reader.cleanup import remove_clutter


def read(net, ink):
    return int(read_digit(net, 0.95 - 0.8 * ink)[0].argmax())


def rectangle(left, top, right, bottom):
    ink = np.zeros((200, 300))
    ink[top:bottom, left:right] = 1
    return ink


def box(*corners):
    return ink_of_lines([*corners, corners[0]], pen=4)


def holes(*places):
    return ink_of_lines(*[[place] for place in places], pen=14)


CLUTTER = {
    "box": box((70, 20), (230, 20), (230, 180), (70, 180)),
    "tilted box": box((60, 30), (225, 15), (240, 170), (75, 185)),
    "large box": box((5, 5), (295, 5), (295, 195), (5, 195)),
    "circle": ink_of_lines(ellipse(150, 100, 220, 180), pen=4),
    "side of a printed box": rectangle(276, 12, 290, 190),
    "line below": rectangle(10, 176, 290, 186),
    "line above": rectangle(80, 8, 292, 20),
    "ruled line": rectangle(0, 170, 300, 173),
    "margin line": rectangle(30, 0, 33, 200),
    "holes along the top": holes(*[(x, 13) for x in range(17, 297, 40)]),
    "two holes along the right side": holes((287, 57), (287, 137)),
    "specks": rectangle(6, 6, 9, 9) + rectangle(285, 185, 288, 188),
}


@pytest.mark.parametrize("name", CLUTTER)
def test_what_is_around_the_digit_is_ignored(net, name):
    inks = [np.maximum(ink_of(digit, (95, 55, 100)), CLUTTER[name]) for digit in (1, 2, 5, 7)]
    assert [read(net, ink) for ink in inks] == [1, 2, 5, 7]


WRITING = {
    "a zero with a dot": np.maximum(ink_of(0, (50, 10, 180)), holes((140, 90))),
    "a one as long as the picture": ink_of_lines([(25, 0), (15, 120)], size=(40, 120)),
    "a four in two parts": ink_of_lines([(12, 0), (12, 82), (66, 82)], [(76, -4), (72, 142)], size=(84, 148)),
    "a seven in two parts": ink_of_lines([(6, 12), (78, 6)], [(70, 16), (42, 142)], size=(84, 148)),
}


@pytest.mark.parametrize("name", WRITING)
def test_remove_clutter_keeps_writing(name):
    ink = WRITING[name]
    np.testing.assert_array_equal(remove_clutter(ink)[0][ink > 0.5], ink[ink > 0.5])


def test_strokes_that_become_faint_are_kept(net):
    """The upper half has less than half of the contrast, but is connected to the lower."""
    fade = np.where(np.arange(200) < 100, 0.45, 1)[:, None]
    digits = [0, 3, 6, 8, 9]
    assert [read(net, fade * ink_of(digit, (80, 20, 160), pen=9)) for digit in digits] == digits


def test_strokes_of_one_pixel_in_a_large_picture_are_kept(net):
    inks = [ink_of(digit, (90, 30, 260), size=(440, 320), pen=1) for digit in range(10)]
    assert [read(net, ink) for ink in inks] == list(range(10))
