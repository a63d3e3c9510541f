"""`read_number`: digits are read from left to right, or refused with one clear sentence."""

import itertools

import numpy as np
import pytest
import torch
from drawings import as_image, ink_of, ink_of_lines, ink_of_number, on_desk, trim
from PIL import Image
from scipy import ndimage

from reader import read_number, text_of
from reader.digit_string import CUT_PENALTY, score
from reader.segment import Segment, oversegment


def read(net, picture):
    return text_of(read_number(net, picture)[0])


def boxes(net, picture):
    return np.array([digit.box for digit in read_number(net, picture)[0]])


def test_digits_have_boxes_and_probabilities(net):
    ink = ink_of_number("407")
    digits, _ = read_number(net, 1 - ink)
    assert text_of(digits) == "407"
    for i, digit in enumerate(digits):
        assert (digit.probabilities.shape, digit.probabilities.dtype) == ((10,), torch.float32)
        assert digit.probabilities.sum() == pytest.approx(1, abs=1e-5)
        rows, columns = np.nonzero(ink_of([4, 0, 7][i], (20 + 46 * i, 30, 60), ink.shape[::-1], 5) > 0.5)
        expected = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        np.testing.assert_allclose(digit.box, expected, atol=2)  # the soft border of a stroke may count as ink or not


def test_boxes_are_in_pixels_of_the_picture_as_it_is_displayed(net, tmp_path):
    small, exif = as_image(ink_of_number("407")), Image.Exif()
    exif[0x0112] = 6  # to be rotated right by 90°
    large = small.resize([20 * n for n in small.size], Image.Resampling.BICUBIC)
    large.rotate(90, expand=True).save(tmp_path / "large.jpg", quality=95, exif=exif)
    np.testing.assert_allclose(boxes(net, tmp_path / "large.jpg"), 20 * boxes(net, small), atol=40)
    paper = 0.95 * (1 - ink_of_number("407"))
    offset = np.array([n // 2 for n in paper.shape[::-1]] * 2)
    np.testing.assert_allclose(boxes(net, on_desk(paper, 0.25)), offset + boxes(net, paper), atol=3)


def test_touching_digits_are_cut_or_there_is_a_warning(net):
    """At least a third of the pairs are read; without cuts, none. Half of those with a wrong length get a warning."""
    pairs = ["".join(pair) for pair in itertools.product("02358", repeat=2)]
    n_right = n_wrong_length = n_warned = 0
    for pair in pairs:
        drawings = (ink_of_number(pair, width=width) for width in range(40, 10, -2))
        ink = next(ink for ink in drawings if ndimage.label(ink > 0.5)[1] == 1)
        digits, warnings = read_number(net, 1 - ink)
        n_right += text_of(digits) == pair
        n_wrong_length += len(digits) != 2
        n_warned += len(digits) != 2 and "number of digits may be wrong" in " ".join(warnings)
    assert n_right >= len(pairs) / 3
    assert n_warned > n_wrong_length / 2 > 0


def test_faint_ink_that_may_join_two_strokes_gets_a_warning(net):
    ink = ink_of_number("04")
    ink[:, 54:59] *= 0.45  # with this ink a zero, without it two strokes
    assert "the number of digits may be wrong" in " ".join(read_number(net, 1 - ink)[1])


def test_components_beside_each_other_are_rarely_one_digit():
    beside = [Segment(0, 12, 0, 40, component=1), Segment(16, 30, 0, 40, component=2)]
    above = [Segment(0, 30, 0, 18, component=1), Segment(0, 30, 20, 40, component=2)]
    first, second = (score(segments, 40, torch.full((10,), 0.1)) for segments in (beside, above))
    assert first == pytest.approx(second - CUT_PENALTY)


def changed(text, value, *places):
    """Return the ink of a number in which some places, pairs of slices, have another value."""
    ink = ink_of_number(text)
    for place in places:
        ink[place] = value
    return ink


def with_lines(text, rows=(), columns=(), rise=0):
    """Return the ink of a number with lines across that the digits touch, the horizontal ones rising by `rise`."""
    ink = np.pad(ink_of_number(text), 30)
    height, width = ink.shape
    across = [[(-5, y - rise / 2), (width + 5, y + rise / 2)] for y in rows]
    down = [[(x, -5), (x, height + 5)] for x in columns]
    return np.maximum(ink, ink_of_lines(*across, *down, size=(width, height), pen=2))


def test_a_speck_is_no_segment():
    assert len(oversegment(changed("40", 1, np.s_[60:64, 20:24]), 0.5)[1]) == 2


RISING = "2835940728359"
SLANTED = [[(x + 30, 20), (x, 80)] for x in (20, 40, 60, 80)]
FADE = np.where(np.arange(120) // 12 == 4, 0.45, 1)[:, None]

# Name → the number, and a function that returns the ink.
NUMBERS = {
    "line that rises": (RISING, lambda: ink_of_number(RISING, falls=-6)),
    "slanted ones": ("1111", lambda: ink_of_lines(*SLANTED, size=(140, 100))),
    "digits in parts": ("357", lambda: changed("357", 0, np.s_[45:48, 66:112], np.s_[64:67, 112:])),
    "faint strokes": ("2865", lambda: ink_of_number("2865") * FADE),
    "fragment of a digit": ("286", lambda: changed("286", 1, np.s_[46:60, 46:51])),  # its digit is no frame
    "minus sign": ("4072", lambda: changed("4072", 1, np.s_[58:63, 4:24])),
    "frame": ("407", lambda: np.pad(np.pad(np.pad(ink_of_number("407"), 8), 3, constant_values=1), 20)),
    "squared paper": ("5624", lambda: with_lines("5624", range(15, 180, 30), range(15, 344, 30))),
    "ruled line": ("561247", lambda: with_lines("561247", [98])),
    "tilted ruled lines": ("561247", lambda: with_lines("561247", [20, 98, 160], rise=14)),
    "seven whose bar is no ruled line": ("7", lambda: np.pad(trim(ink_of_number("7")), 3)),
    "ones as high as the picture": ("11", lambda: trim(ink_of_number("11"))),
    "large sheet": ("407", lambda: np.kron(np.pad(ink_of_number("407"), ((300, 900), (400, 1000))), np.ones((2, 2)))),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_any_number_is_read(net, name):
    text, make = NUMBERS[name]
    assert read(net, 1 - make()) == text


def test_dark_corners_of_a_scan_are_ignored(net):
    assert read(net, as_image(ink_of_number("407")).rotate(4, Image.Resampling.BICUBIC)) == "407"


def test_faint_ink_is_read(net):
    """Without noise, 2% of contrast are enough; what noise hides is read at half the size."""
    noise = np.random.default_rng(0).normal(0, 0.05, (240, 476))
    assert read(net, 0.9 - 0.03 * ink_of_number("407")) == "407"
    assert read(net, (0.7 - 0.2 * np.kron(ink_of_number("407"), np.ones((2, 2))) + noise).clip(0, 1)) == "407"


def test_digits_lost_with_their_boxes_get_a_warning(net):
    ink = ink_of_number("40728")
    ink[26:30, 20:280] = ink[84:88, 20:280] = 1  # a row of boxes, which the digits touch
    ink[26:88, 20:251:46] = ink[26:88, 280] = 1
    with_boxes = np.hstack([np.pad(ink, 9), np.pad(ink_of_number("3"), 9)])
    assert any("digits may be missing" in warning for warning in read_number(net, 1 - with_boxes)[1])


BARCODE = np.zeros((900, 1200))
BARCODE[150:750, 60:1160] = np.arange(1100) % 11 < 4
NOT_ONE_LINE = {
    "two lines": (np.vstack([ink_of_number("407")] * 2), "more than one line of digits in the picture; crop it to one"),
    "barcode": (BARCODE, "100 separate strokes in the picture, too many for one line of digits; crop it"),
    "dots": (np.kron(np.tile([[1, 0], [0, 0]], (15, 20)), np.ones((9, 9))), "separate strokes in the picture"),
    "ruled line": (ink_of_lines([(-5, 50), (305, 50)]), "no strokes stand out"),
    "shallow stroke": (ink_of_lines([(20, 60), (280, 100)]), "no strokes stand out"),
}


@pytest.mark.parametrize("name", NOT_ONE_LINE)
def test_what_is_not_one_line_is_refused(net, name):
    ink, words = NOT_ONE_LINE[name]
    with pytest.raises(ValueError, match=words):
        read_number(net, 1 - ink)
