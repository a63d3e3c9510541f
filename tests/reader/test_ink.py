"""Brightness → ink: desks, shadows and clutter are removed, and the writing is kept."""

import contextlib

import numpy as np
import pytest
from drawings import ellipse, ink_of, ink_of_lines, on_desk

from reader import read_digit
from reader.cleanup import remove_clutter
from reader.ink import extract_ink


def read(net, picture):
    return int(read_digit(net, picture)[0].argmax())


@pytest.mark.parametrize("part", ["corner", "half"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 9), (7, 300), (40, 30), (299, 2), (120, 2400)])
def test_any_shape_is_read_or_refused(shape, part):
    """The last one, shrunk, has a half that is too narrow to lose its edge."""
    brightness = np.zeros(shape, np.float32)
    brightness[: shape[0] // 2 + 1, : shape[1] // 2 + 1 if part == "corner" else None] = 1
    for picture in (brightness, 1 - brightness):
        with contextlib.suppress(ValueError):
            assert extract_ink(picture).ndim == 2


def sheet(digit):
    return 0.9 - 0.7 * ink_of(digit, (60, 10, 180))


LIGHT = np.full((400, 520), 0.65)
LIGHT[60:330, 60:420] = 0.9
SCENES = {
    "dark desk": lambda digit: on_desk(sheet(digit), 0.2),
    "grey desk": lambda digit: on_desk(sheet(digit), 0.7),
    "dark desk on one side": lambda digit: np.hstack([np.full((200, 50), 0.2), sheet(digit)]),
    "soft shadow": lambda digit: sheet(digit) * np.interp(np.arange(300), [130, 190], [1, 0.6]),
    "hard shadow": lambda digit: sheet(digit) * np.interp(np.arange(300), [130, 132], [1, 0.6]),
    "patch of light": lambda digit: LIGHT * (1 - 0.85 * ink_of(digit, (290, 70, 260), (520, 400), 16)),
}


@pytest.mark.parametrize("name", SCENES)
def test_desks_and_light_are_ignored(net, name):
    digits = [0, 2, 5, 8, 9]
    noise = np.random.default_rng(0).normal(0, 0.01, SCENES[name](0).shape)
    assert [read(net, np.clip(SCENES[name](digit) + noise, 0, 1)) for digit in digits] == digits


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
    "circle": ink_of_lines(ellipse(150, 100, 220, 180), pen=4),
    "side of a printed box": rectangle(276, 12, 290, 190),
    "line below": rectangle(10, 176, 290, 186),
    "ruled line": rectangle(0, 170, 300, 173),
    "holes along the top": holes(*[(x, 13) for x in range(17, 297, 40)]),
    "two holes along the right side": holes((287, 57), (287, 137)),
    "specks": rectangle(6, 6, 9, 9) + rectangle(285, 185, 288, 188),
}


@pytest.mark.parametrize("name", CLUTTER)
def test_what_is_around_the_digit_is_ignored(net, name):
    inks = [np.maximum(ink_of(digit, (95, 55, 100)), CLUTTER[name]) for digit in (1, 2, 5, 7)]
    assert [read(net, 0.95 - 0.8 * ink) for ink in inks] == [1, 2, 5, 7]


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


def test_strokes_of_one_pixel_in_a_large_picture_are_kept(net):
    inks = [ink_of(digit, (90, 30, 260), size=(440, 320), pen=1) for digit in range(10)]
    assert [read(net, 0.95 - 0.8 * ink) for ink in inks] == list(range(10))
