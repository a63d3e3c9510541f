"""`read_number`: digits are read from left to right, or refused with one clear sentence."""

import itertools

import numpy as np
import pytest
import torch
from drawings import as_image, ink_of, ink_of_lines, ink_of_number, on_desk, trim
from PIL import Image
from scipy import ndimage

from reader import read_number, text_of


def read(net, picture):
    return text_of(read_number(net, picture)[0])


# --- What is returned ---


def test_digits_have_boxes_and_probabilities(net):
    ink = ink_of_number("407")
    digits, _ = read_number(net, 1 - ink)
    assert text_of(digits) == "407"
    for i, digit in enumerate(digits):
        assert digit.probabilities.shape == (10,)
        assert digit.probabilities.dtype == torch.float32
        assert digit.probabilities.sum() == pytest.approx(1, abs=1e-5)
        rows, columns = np.nonzero(ink_of([4, 0, 7][i], (20 + 46 * i, 30, 60), ink.shape[::-1], 5) > 0.5)
        expected = columns.min(), rows.min(), columns.max() + 1, rows.max() + 1
        np.testing.assert_allclose(digit.box, expected, atol=2)  # the soft border of a stroke may count as ink or not


def test_boxes_are_in_pixels_of_the_picture_as_it_is_displayed(net, tmp_path):
    def boxes(picture):
        return np.array([digit.box for digit in read_number(net, picture)[0]])

    small, exif = as_image(ink_of_number("407")), Image.Exif()
    exif[0x0112] = 6  # to be rotated right by 90°
    large = small.resize([20 * n for n in small.size], Image.Resampling.BICUBIC)
    large.rotate(90, expand=True).save(tmp_path / "large.jpg", quality=95, exif=exif)
    np.testing.assert_allclose(boxes(tmp_path / "large.jpg"), 20 * boxes(small), atol=40)
    paper = 0.95 * (1 - ink_of_number("407"))
    height, width = paper.shape
    offset = np.array([width // 2, height // 2] * 2)
    np.testing.assert_allclose(boxes(on_desk(paper, 0.25)), offset + boxes(paper), atol=3)


# --- Kinds of numbers ---

PAPERS = {
    "clean": lambda ink, noise: 0.9 - 0.6 * ink + noise,
    "shadow": lambda ink, noise: (0.9 - 0.6 * ink) * np.linspace(1, 0.5, ink.shape[1]) + noise,
    "noise": lambda ink, noise: 0.9 - 0.6 * ink + 5 * noise,
    "board": lambda ink, noise: 0.2 + 0.6 * ink + noise,
}


@pytest.mark.parametrize("paper", PAPERS)
def test_digits_of_mnist_are_read(net, mnist_test, paper):
    generator, n_right = np.random.default_rng(0), 0
    for images, labels in zip(mnist_test.images[:40].split(4), mnist_test.labels[:40].split(4), strict=True):
        digits = [np.pad(trim(image[0].numpy() / 255), ((0, 0), (2, 2))) for image in images]
        line = np.hstack([np.pad(digit, ((28 - len(digit), 0), (0, 0))) for digit in digits])
        ink = ndimage.zoom(np.pad(line, 20), 2, order=1)
        picture = PAPERS[paper](ink, generator.normal(0, 0.01, ink.shape)).clip(0, 1)
        n_right += read(net, picture) == "".join(map(str, labels.tolist()))
    assert n_right >= 8  # of 10


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


def parts():
    """A five whose bar is separate, and a seven with a gap in its stem."""
    ink = ink_of_number("357")
    ink[45:48, 66:112] = ink[64:67, 112:] = 0
    return ink


def with_mark(rows, columns):
    """Return the ink of 4072 with a rectangle after the 0."""
    mark = np.zeros((120, 28))
    mark[rows, columns] = 1
    return np.hstack([ink_of_number("40")[:, :130], mark, ink_of_number("72")[:, 15:]])


def marked(text, value, *places):
    """Return the ink of a number in which some places, pairs of slices, have another value."""
    ink = ink_of_number(text)
    for rows, columns in places:
        ink[rows, columns] = value
    return ink


def frame():
    ink = np.pad(ink_of_number("407"), 8)
    ink[4:-4, [4, 5, 6, -7, -6, -5]] = 1
    ink[[4, 5, 6, -7, -6, -5], 4:-4] = 1
    return np.pad(ink, 15)


def ruled_lines(rise):
    """Three lines that the digits touch; each rises by `rise` pixels."""
    ink = np.pad(ink_of_number("561247"), ((30, 30), (0, 0)))
    height, width = ink.shape
    places = [[(-5, row - rise / 2), (width + 5, row + rise / 2)] for row in (20, 98, height - 20)]
    return np.maximum(ink, ink_of_lines(*places, size=(width, height), pen=2))


def squared_paper(text, step):
    """Return the ink of a number that touches the lines of squared paper, `step` pixels apart."""
    ink = np.pad(ink_of_number(text), 30)
    height, width = ink.shape
    columns, rows = (range(step // 2, n, step) for n in (width, height))
    places = [[(x, -5), (x, height + 5)] for x in columns] + [[(-5, y), (width + 5, y)] for y in rows]
    return np.maximum(ink, ink_of_lines(*places, size=(width, height), pen=2))


SPECKS = [np.s_[10:13, 10:13], np.s_[60:63, 62:65], np.s_[100:103, 30:33], np.s_[15:18, 150:153]]
ONES = [[(left + 30, 20), (left, 80)] for left in (20, 40, 60, 80)]
SMALL = ndimage.zoom(trim(ink_of_number("38")), 0.7, order=1)

# Name → the number, and a function that returns the ink.
NUMBERS = {
    "line that rises": ("2835940728359", lambda: ink_of_number("2835940728359", falls=-6)),
    "different sizes": (
        "7238",
        lambda: np.hstack([ink_of_number("72"), np.pad(SMALL, ((90 - len(SMALL), 30), (0, 30)))]),
    ),
    "slanted ones": ("1111", lambda: ink_of_lines(*ONES, size=(140, 100))),
    "digits in parts": ("357", parts),
    "faint strokes": ("2865", lambda: ink_of_number("2865") * np.where(np.arange(120) // 12 == 4, 0.45, 1)[:, None]),
    "specks": ("4072", lambda: marked("4072", 1, *SPECKS)),
    "fragment of a digit": ("286", lambda: marked("286", 1, np.s_[46:60, 46:51])),  # its digit is no frame
    "minus sign": ("4072", lambda: with_mark(slice(58, 63), slice(4, 24))),
    "full stop": ("4072", lambda: with_mark(slice(84, 90), slice(12, 18))),
    "comma": ("4072", lambda: with_mark(slice(82, 96), slice(12, 17))),
    "frame": ("407", frame),
    "squared paper": ("5624", lambda: squared_paper("5624", 30)),
    "ones as high as the picture": ("11", lambda: trim(ink_of_number("11"))),
    "ruled lines": ("561247", lambda: ruled_lines(0)),
    "tilted ruled lines": ("561247", lambda: ruled_lines(12)),
    "seven whose bar is no ruled line": ("7", lambda: np.pad(trim(ink_of_number("7")), 3)),
    "all borders": ("407", lambda: trim(ink_of_number("407"))),
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


# --- Refusals ---


def barcode():
    ink = np.zeros((900, 1200))
    for left in range(60, 1160, 11):
        ink[150:750, left : left + 4] = 1
    return ink


NOT_A_LINE = {
    "two lines": (np.vstack([ink_of_number("407")] * 2), "more than one line of digits in the picture; crop it to one"),
    "barcode": (barcode(), "100 separate strokes in the picture, too many for one line of digits; crop it"),
    "ruled line": (ink_of_lines([(-5, 50), (305, 50)]), "no strokes stand out"),
    "shallow stroke": (ink_of_lines([(20, 60), (280, 100)]), "no strokes stand out"),
}


@pytest.mark.parametrize("name", NOT_A_LINE)
def test_what_is_not_one_line_is_refused(net, name):
    ink, words = NOT_A_LINE[name]
    with pytest.raises(ValueError, match=words):
        read_number(net, 1 - ink)
