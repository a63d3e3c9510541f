"""Numbers of several digits, read from left to right, or refused with one clear sentence."""

import itertools
import re

import numpy as np
import pytest
import torch
from drawings import as_image, ink_by, ink_of
from PIL import Image
from scipy import ndimage

import reader.__main__ as command
from experiments import digit_strings
from model import load_net
from reader import read_digit, read_number, samples, text_of
from reader.digit_string import LONGEST

SIDE = 60  # pixels of the square of a drawn digit
NET = load_net()


def draw(*digits, width=46, falls=0, side=SIDE):
    """Return the ink of `digits` side by side, float [H, W], `width` pixels each and `falls` pixels lower each."""
    size = 40 + width * len(digits) + side, 60 + side + abs(falls) * len(digits)
    top = 30 + max(0, -falls) * len(digits)
    squares = [(20 + width * i, top + falls * i, side) for i in range(len(digits))]
    return np.maximum.reduce([ink_of(digit, squares[i], size, 5, seed=i) for i, digit in enumerate(digits)])


def read(ink):
    return text_of(read_number(NET, 1 - ink)[0])


# --- What is returned ---


def test_read_number_returns_boxes_and_probabilities():
    ink = draw(4, 0, 7)
    digits, _ = read_number(NET, 1 - ink)
    assert text_of(digits) == "407"
    for i, digit in enumerate(digits):
        assert digit.probabilities.shape == (10,)
        assert digit.probabilities.dtype == torch.float32
        assert digit.probabilities.sum() == pytest.approx(1, abs=1e-5)
        own = ink_of([4, 0, 7][i], (20 + 46 * i, 30, SIDE), ink.shape[::-1], 5, seed=i)
        rows, columns = (np.flatnonzero((own > 0.5).any(axis=axis)) for axis in (1, 0))
        # The soft border of a stroke may count as ink or not.
        np.testing.assert_allclose(digit.box, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), atol=2)


def test_boxes_are_in_pixels_of_the_picture_however_large_it_is(tmp_path):
    small = as_image(draw(4, 0, 7))
    large = small.resize([20 * n for n in small.size], Image.Resampling.BICUBIC)
    assert max(large.size) > 2 * LONGEST
    large.save(tmp_path / "large.jpg", quality=95)
    channels_first = np.asarray(large.convert("RGB")).transpose(2, 0, 1)
    expected = [20 * np.array(digit.box) for digit in read_number(NET, small)[0]]
    for image in (tmp_path / "large.jpg", channels_first):
        np.testing.assert_allclose([digit.box for digit in read_number(NET, image)[0]], expected, atol=40)


def test_boxes_are_in_pixels_of_the_whole_picture_of_a_desk():
    paper = 0.95 * (1 - draw(4, 0, 7))
    desk = np.full([2 * n for n in paper.shape], 0.25, dtype=np.float32)
    top, left = (n // 2 for n in paper.shape)
    desk[top : top + paper.shape[0], left : left + paper.shape[1]] = paper
    on_paper, on_desk = read_number(NET, paper)[0], read_number(NET, desk)[0]
    assert text_of(on_desk) == text_of(on_paper) == "407"
    for one, other in zip(on_paper, on_desk, strict=True):
        np.testing.assert_allclose(np.array(one.box) + np.array([left, top, left, top]), other.box, atol=3)


def test_boxes_are_in_the_picture_as_it_is_displayed(tmp_path):
    upright = as_image(draw(4, 0, 7))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated right by 90°
    upright.rotate(90, expand=True).save(tmp_path / "held.png", exif=exif)
    rotated, _ = read_number(NET, tmp_path / "held.png")
    assert [digit.box for digit in rotated] == [digit.box for digit in read_number(NET, upright)[0]]


# --- Kinds of numbers ---


def test_read_number_reads_one_digit():
    texts = {path.name: text_of(read_number(NET, path)[0]) for path in samples.paths()}
    assert texts == {name: str(label) for name, label in samples.LABELS.items()}


@pytest.mark.parametrize("paper", digit_strings.PAPERS)
def test_read_number_reads_digits_of_mnist(mnist_test, paper):
    n_right = 0
    for label, picture in digit_strings.make_numbers(mnist_test, 4, "close", paper):
        digits, _ = read_number(NET, picture)
        n_right += text_of(digits) == label
        for left, top, right, bottom in (digit.box for digit in digits):
            assert 0 <= left < right <= picture.shape[1]
            assert 0 <= top < bottom <= picture.shape[0]
        centres = [digit.box[0] + digit.box[2] for digit in digits]
        assert all(a - b < picture.shape[0] for a, b in itertools.pairwise(centres))  # in order along the slant
    assert n_right >= 6  # of 10


def test_read_number_cuts_touching_digits_or_warns():
    """It reads at least a third of the pairs; without cuts, none. It warns in half of those with a wrong length."""
    pairs = list(itertools.product((0, 2, 3, 5, 8), repeat=2))
    n_right = n_wrong_length = n_warned = 0
    for first, second in pairs:
        drawings = (draw(first, second, width=width) for width in range(40, 10, -2))
        ink = next(ink for ink in drawings if ndimage.label(ink > 0.5)[1] == 1)
        text = read(ink)
        n_right += text == f"{first}{second}"
        if len(text) != 2:
            n_wrong_length += 1
            n_warned += "number of digits may be wrong" in " ".join(read_number(NET, 1 - ink)[1])
    assert n_right >= len(pairs) / 3
    assert n_warned > n_wrong_length / 2 > 0


def different_sizes():
    small, large = draw(3, 8, side=44), draw(7, 2)
    return np.hstack([large, np.pad(small, ((len(large) - len(small), 0), (0, 0)))])


def slanted_ones():
    ink = np.zeros((100, 140))
    for left in (20, 40, 60, 80):
        for row in range(20, 80):
            ink[row, left + (80 - row) // 2 : left + (80 - row) // 2 + 6] = 1
    return ink


def parts():
    """A five whose bar is separate, and a seven with a gap in its stem."""
    ink = draw(3, 5, 7)
    five = slice(20 + 46, 20 + 92)
    rows = np.flatnonzero((ink[:, five] > 0.5).any(axis=1))
    height = rows[-1] - rows[0]
    ink[rows[0] + height // 5 + 3 : rows[0] + height // 5 + 6, five] = 0
    ink[rows[0] + height * 3 // 5 : rows[0] + height * 3 // 5 + 3, 20 + 92 :] = 0
    assert ndimage.label(ink > 0.5)[1] > 3
    return ink


def specks_shadow_and_noise():
    ink = draw(4, 0, 7, 2)
    for row, column in ((10, 10), (60, 62), (100, 30), (15, 150)):
        ink[row : row + 3, column : column + 3] = 1
    light = np.linspace(1, 0.5, ink.shape[1])
    noise = np.random.default_rng(0).normal(0, 0.02, ink.shape)
    return 1 - np.clip((1 - 0.7 * ink) * light + noise, 0, 1)


def with_mark(rows, columns, at_start):
    mark = np.zeros((120, 28))
    mark[rows, columns] = 1
    first, last = draw(4, 0)[:, :130], draw(7, 2)[:, 15:]
    return np.hstack([mark, first, last] if at_start else [first, mark, last])


def frame():
    ink = np.pad(draw(4, 0, 7), 8)
    ink[4:-4, [4, 5, 6, -7, -6, -5]] = 1
    ink[[4, 5, 6, -7, -6, -5], 4:-4] = 1
    return np.pad(ink, 15)


def fragment():
    """A fragment within the bounding box of a digit, but not enclosed by it: the digit is not a frame."""
    ink = draw(2, 8, 6)
    ink[46:60, 46:51] = 1
    return ink


def faint_strokes():
    ink = draw(2, 8, 6, 5)
    ink[50:62] *= 0.45
    return ink


def ruled_lines(tilt):
    """Lines that touch the digits, rotated by `tilt` degrees."""
    ink = np.pad(draw(5, 6, 1, 2, 4, 7), ((30, 30), (0, 0)))
    rise = np.tan(np.radians(tilt)) * ink.shape[1] / 2
    lines = [(0, row - rise, ink.shape[1], row + rise) for row in (20, 98, ink.shape[0] - 20)]
    return np.maximum(ink, ink_by(lambda draw: [draw.line(line, fill=255, width=2) for line in lines], ink.shape[::-1]))


def cropped(*digits, margins):
    top, bottom, left, right = margins
    return np.pad(digit_strings.trim(draw(*digits)), ((top, bottom), (left, right)))


# Name → the number, and a function that returns the ink.
NUMBERS = {
    "line that rises": ("2835940728359", lambda: draw(2, 8, 3, 5, 9, 4, 0, 7, 2, 8, 3, 5, 9, falls=-6)),
    "line that falls": ("2835940728359", lambda: draw(2, 8, 3, 5, 9, 4, 0, 7, 2, 8, 3, 5, 9, falls=6)),
    "different sizes": ("7238", different_sizes),
    "slanted ones": ("1111", slanted_ones),
    "digits in parts": ("357", parts),
    "faint strokes": ("2865", faint_strokes),
    "specks, shadow and noise": ("4072", specks_shadow_and_noise),
    "minus sign": ("4072", lambda: with_mark(slice(58, 63), slice(4, 24), at_start=True)),
    "full stop": ("4072", lambda: with_mark(slice(84, 90), slice(12, 18), at_start=False)),
    "comma": ("4072", lambda: with_mark(slice(82, 96), slice(12, 17), at_start=False)),
    "frame": ("407", frame),
    "fragment of a digit": ("286", fragment),
    "ruled lines": ("561247", lambda: ruled_lines(0)),
    "tilted ruled lines": ("561247", lambda: ruled_lines(2)),
    "seven whose bar is no ruled line": ("7", lambda: cropped(7, margins=(3, 3, 3, 3))),
    "left border": ("407", lambda: cropped(4, 0, 7, margins=(20, 20, 0, 20))),
    "top border": ("407", lambda: cropped(4, 0, 7, margins=(0, 20, 20, 20))),
    "all borders": ("407", lambda: cropped(4, 0, 7, margins=(0, 0, 0, 0))),
    "large sheet": ("407", lambda: np.kron(np.pad(draw(4, 0, 7), ((300, 900), (400, 1000))), np.ones((2, 2)))),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_read_number_reads_any_picture(name):
    number, make = NUMBERS[name]
    assert read(make()) == number


def test_read_number_ignores_dark_corners_of_a_scan():
    assert text_of(read_number(NET, as_image(draw(4, 0, 7)).rotate(4, Image.Resampling.BICUBIC))[0]) == "407"


# --- Refusals and warnings ---


@pytest.mark.parametrize("gap", [0, 30])
def test_read_number_refuses_two_lines(gap):
    two = np.vstack([draw(4, 0, 7), np.zeros((gap, draw(4, 0, 7).shape[1])), draw(2, 8, 3)])
    with pytest.raises(ValueError, match="more than one line of digits in the picture; crop it to one"):
        read_number(NET, 1 - two)


@pytest.mark.parametrize("image", [np.ones((90, 90)), None, "none.png"])
def test_read_number_refuses_what_read_digit_refuses(image):
    with pytest.raises((ValueError, OSError)) as expected:
        read_digit(NET, image)
    with pytest.raises(expected.type, match=f"^{re.escape(str(expected.value))}$"):
        read_number(NET, image)


def test_warnings_of_a_number_are_empty_for_clear_digits():
    assert read_number(NET, 1 - draw(4, 0, 7, 2, width=60))[1] == []


def test_warnings_of_a_number_name_the_digit():
    ink = np.pad(digit_strings.trim(draw(4, 0)), ((30, 0), (30, 30)))[:-12]
    assert any(re.match("digit [12]: ink touches the edge", warning) for warning in read_number(NET, 1 - ink)[1])


# --- The command line ---


def test_command_reads_numbers(capsys, monkeypatch, tmp_path):
    good, blank = tmp_path / "good.png", tmp_path / "blank.png"
    as_image(draw(4, 0, 7, width=60)).save(good)
    Image.new("L", (90, 90)).save(blank)
    monkeypatch.setattr("sys.argv", ["reader", "--number", str(blank), str(good)])
    assert command.main() == 1
    printed = capsys.readouterr()
    assert re.match(rf"{re.escape(str(good))}: 407, confidence \d+\.\d%", printed.out)
    assert printed.err.startswith(f"{blank}: no strokes stand out")
    assert printed.err.count("\n") == 1
