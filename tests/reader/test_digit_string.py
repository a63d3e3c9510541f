"""Numbers of several digits, read from left to right, or refused with one clear sentence."""

import itertools
import re

import numpy as np
import pytest
import torch
from helpers import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from scipy import ndimage

import reader.__main__ as command
import utils
from experiments import digit_strings
from experiments.timing import read as read_csv
from model import load_net
from reader import predict, read_number, samples, text_of, warnings_of_number
from reader.digit_string import LONGEST
from reader.samples.synthetic_photos import draw_digit
from reader.segment import min_cost_path, oversegment

SIDE = 60  # pixels of the square of a drawn digit
NET = load_net()
steady = settings(deadline=None, derandomize=True, max_examples=15)


def draw(*digits, width=46, falls=0, side=SIDE):
    """Return the ink of `digits` side by side, float [H, W], `width` pixels each and `falls` pixels lower each."""
    size = 40 + width * len(digits) + side, 60 + side + abs(falls) * len(digits)
    ink = np.zeros(size[::-1])
    for i, digit in enumerate(digits):
        square = 20 + width * i, 30 + falls * i + (abs(falls) * len(digits) if falls < 0 else 0), side
        ink = np.maximum(ink, draw_digit(digit, size, 5, square, np.random.default_rng(i)))
    return ink


def read(ink):
    return text_of(read_number(NET, 1 - ink))


def as_image(ink):
    return Image.fromarray(np.uint8(255 * (1 - ink)))


# --- What is returned ---


def test_read_number_returns_boxes_and_probabilities():
    ink = draw(4, 0, 7)
    digits = read_number(NET, 1 - ink)
    assert text_of(digits) == "407"
    for i, digit in enumerate(digits):
        assert digit.probabilities.shape == (10,)
        assert digit.probabilities.dtype == torch.float32
        assert digit.probabilities.sum() == pytest.approx(1, abs=1e-5)
        own = draw_digit([4, 0, 7][i], ink.shape[::-1], 5, (20 + 46 * i, 30, SIDE), np.random.default_rng(i))
        rows, columns = (np.flatnonzero((own > 0.5).any(axis=axis)) for axis in (1, 0))
        # The soft border of a stroke may count as ink or not.
        np.testing.assert_allclose(digit.box, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1), atol=2)


@pytest.mark.parametrize("kind", ["path", "channels first"])
def test_boxes_are_in_pixels_of_the_picture_however_large_it_is(tmp_path, kind):
    small = as_image(draw(4, 0, 7))
    large = small.resize([20 * n for n in small.size], Image.Resampling.BICUBIC)
    assert max(large.size) > 2 * LONGEST
    path = tmp_path / "large.jpg"
    large.save(path, quality=95)
    image = path if kind == "path" else np.asarray(large.convert("RGB")).transpose(2, 0, 1)
    found = read_number(NET, image)
    for one, other in zip(read_number(NET, small), found, strict=True):
        np.testing.assert_allclose(20 * np.array(one.box), other.box, atol=40)


def test_boxes_are_in_pixels_of_the_whole_picture_of_a_desk():
    paper = 0.95 * (1 - draw(4, 0, 7))
    desk = np.full([2 * n for n in paper.shape], 0.25, dtype=np.float32)
    top, left = (n // 2 for n in paper.shape)
    desk[top : top + paper.shape[0], left : left + paper.shape[1]] = paper
    on_paper, on_desk = read_number(NET, paper), read_number(NET, desk)
    assert text_of(on_desk) == text_of(on_paper) == "407"
    for one, other in zip(on_paper, on_desk, strict=True):
        np.testing.assert_allclose(np.array(one.box) + np.array([left, top, left, top]), other.box, atol=3)


def test_boxes_are_in_the_picture_as_it_is_displayed(tmp_path):
    upright = as_image(draw(4, 0, 7))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be rotated right by 90°
    upright.rotate(90, expand=True).save(tmp_path / "held.png", exif=exif)
    rotated = read_number(NET, tmp_path / "held.png")
    assert [digit.box for digit in rotated] == [digit.box for digit in read_number(NET, upright)]


@steady
@given(
    length=st.integers(1, 5),
    spacing=st.sampled_from(list(digit_strings.SPACINGS)),
    seed=st.integers(0, 2**32),
    paper=st.sampled_from(digit_strings.PAPERS),
)
def test_digits_are_in_order_and_boxes_inside_the_picture(length, spacing, seed, paper):
    generator = np.random.default_rng(seed)
    _, test = utils.load_mnist(ROOT / "data")
    images = test.images[generator.integers(0, 10_000, length), 0].numpy()
    scene = digit_strings.photograph_number(digit_strings.write_number(images, spacing, generator), paper, generator)
    try:
        digits = read_number(NET, scene)
    except ValueError as error:
        assert "no strokes stand out" in str(error) or "more than one line" in str(error)  # noqa: PT017
        return
    centres = [digit.box[0] + digit.box[2] for digit in digits]
    assert all(a - b < scene.shape[0] for a, b in itertools.pairwise(centres))  # in order along the slant
    for left, top, right, bottom in (digit.box for digit in digits):
        assert 0 <= left < right <= scene.shape[1]
        assert 0 <= top < bottom <= scene.shape[0]


@pytest.mark.parametrize("path", samples.paths(), ids=lambda path: path.name)
def test_read_number_reads_one_digit(path):
    assert text_of(read_number(NET, path)) == str(samples.LABELS[path.name])


# --- Kinds of numbers ---


@pytest.mark.parametrize("falls", [-6, 0, 6])
def test_read_number_follows_a_line_that_rises_or_falls(falls):
    light_on_dark = draw(2, 8, 3, 5, 9, 4, 0, 7, 2, 8, 3, 5, 9, falls=falls)
    assert text_of(read_number(NET, light_on_dark)) == "2835940728359"


def test_read_number_reads_digits_of_different_sizes():
    small, large = draw(3, 8, side=44), draw(7, 2)
    height = max(len(small), len(large))
    assert read(np.hstack([np.pad(ink, ((height - len(ink), 0), (0, 0))) for ink in (large, small)])) == "7238"


def test_read_number_separates_slanted_ones():
    ink = np.zeros((100, 140))
    for left in (20, 40, 60, 80):
        for row in range(20, 80):
            ink[row, left + (80 - row) // 2 : left + (80 - row) // 2 + 6] = 1
    assert read(ink) == "1111"


def test_read_number_joins_the_parts_of_a_digit():
    """A five whose bar is separate, and a seven with a gap in its stem."""
    ink = draw(3, 5, 7)
    five = slice(20 + 46, 20 + 92)
    rows = np.flatnonzero((ink[:, five] > 0.5).any(axis=1))
    height = rows[-1] - rows[0]
    ink[rows[0] + height // 5 + 3 : rows[0] + height // 5 + 6, five] = 0
    ink[rows[0] + height * 3 // 5 : rows[0] + height * 3 // 5 + 3, 20 + 92 :] = 0
    assert ndimage.label(ink > 0.5)[1] > 3
    assert read(ink) == "357"


def test_read_number_cuts_touching_digits():
    """At least a third of such pairs; without cuts, none would be read."""
    pairs = list(itertools.product((0, 2, 3, 4, 5, 7, 8), repeat=2))
    right = 0
    for first, second in pairs:
        widths = (draw(first, second, width=width) for width in range(50, 10, -1))
        ink = next(ink for ink in widths if ndimage.label(ink > 0.5)[1] == 1)
        right += read(ink) == f"{first}{second}"
    assert right >= len(pairs) / 3


def test_read_number_ignores_specks_uneven_light_and_noise():
    ink = draw(4, 0, 7, 2)
    for row, column in ((10, 10), (60, 62), (100, 30), (15, 150)):
        ink[row : row + 3, column : column + 3] = 1
    light = np.linspace(1, 0.5, ink.shape[1])
    noise = np.random.default_rng(0).normal(0, 0.02, ink.shape)
    assert text_of(read_number(NET, np.clip((1 - 0.7 * ink) * light + noise, 0, 1))) == "4072"


MARKS = {
    "a minus sign": (slice(58, 63), slice(4, 24)),
    "a full stop": (slice(84, 90), slice(12, 18)),
    "a comma": (slice(82, 96), slice(12, 17)),
}


@pytest.mark.parametrize("mark", MARKS)
@pytest.mark.parametrize("position", [0, 1])
def test_read_number_ignores_marks(mark, position):
    own = np.zeros((120, 28))
    own[MARKS[mark]] = 1
    first, last = draw(4, 0)[:, :130], draw(7, 2)[:, 15:]
    assert read(np.hstack([[first, own], [own, first]][position] + [last])) == "4072"


def test_read_number_ignores_a_frame():
    ink = np.pad(draw(4, 0, 7), 8)
    ink[4:-4, [4, 5, 6, -7, -6, -5]] = 1
    ink[[4, 5, 6, -7, -6, -5], 4:-4] = 1
    assert read(np.pad(ink, 15)) == "407"


def test_read_number_keeps_a_digit_whose_bounding_box_holds_a_fragment():
    """It is not a frame: the fragment is within its box, but not enclosed by it."""
    ink = draw(2, 8, 6)
    ink[46:60, 46:51] = 1
    assert read(ink) == "286"


def test_read_number_ignores_specks_beside_strokes():
    ink = draw(4, 0, 7)
    rows, columns = np.nonzero(ndimage.distance_transform_edt(ink < 0.3).round() == 3)
    for i in range(0, len(rows), len(rows) // 12):
        ink[rows[i] : rows[i] + 2, columns[i] : columns[i] + 2] = 1
    assert read(ink) == "407"


def test_read_number_does_not_split_a_digit_at_a_faint_stroke():
    ink = draw(2, 8, 6, 5)
    faint = np.zeros_like(ink)
    faint[30 + 20 : 30 + 32] = 1
    assert read(ink * (1 - 0.55 * faint)) == "2865"


@pytest.mark.parametrize("tilt", [-2, 0, 2])
def test_read_number_ignores_ruled_lines_that_touch_digits(tilt):
    ink = np.pad(draw(5, 6, 1, 2, 4, 7), ((30, 30), (0, 0)))
    lines = Image.new("L", ink.shape[::-1])
    for row in (20, 98, ink.shape[0] - 20):
        y = row - np.tan(np.radians(tilt)) * ink.shape[1] / 2, row + np.tan(np.radians(tilt)) * ink.shape[1] / 2
        ImageDraw.Draw(lines).line((0, y[0], ink.shape[1], y[1]), fill=255, width=2)
    assert read(np.maximum(ink, np.asarray(lines) / 255)) == "561247"


def test_read_number_reads_a_seven_as_wide_as_the_picture():
    """Its bar is not a ruled line."""
    assert read(np.pad(digit_strings.trim(draw(7)), 3)) == "7"


@pytest.mark.parametrize("margins", [(20, 20, 0, 20), (20, 20, 20, 0), (0, 20, 20, 20), (0, 0, 0, 0)])
def test_read_number_keeps_digits_that_touch_the_border(margins):
    top, bottom, left, right = margins
    assert read(np.pad(digit_strings.trim(draw(4, 0, 7)), ((top, bottom), (left, right)))) == "407"


def test_read_number_ignores_dark_corners_of_a_scan():
    assert text_of(read_number(NET, as_image(draw(4, 0, 7)).rotate(4, Image.Resampling.BICUBIC))) == "407"


def test_read_number_reads_a_small_number_on_a_large_sheet():
    large = np.kron(np.pad(draw(4, 0, 7), ((300, 900), (400, 1000))), np.ones((2, 2)))
    assert max(large.shape) > 3000
    assert read(large) == "407"


@pytest.mark.parametrize("gap", [0, 30])
def test_read_number_refuses_two_lines(gap):
    two = np.vstack([draw(4, 0, 7), np.zeros((gap, draw(4, 0, 7).shape[1])), draw(2, 8, 3)])
    with pytest.raises(ValueError, match="more than one line of digits in the picture; crop it to one"):
        read_number(NET, 1 - two)


@pytest.mark.parametrize("image", [np.ones((90, 90)), None, np.zeros(28), "none.png", 255.0 * np.eye(28)])
def test_read_number_refuses_what_predict_refuses(image):
    with pytest.raises((ValueError, OSError)) as expected:
        predict(NET, image)
    with pytest.raises(expected.type, match=f"^{re.escape(str(expected.value))}$"):
        read_number(NET, image)


# --- Warnings ---


def test_warnings_of_number_are_empty_for_clear_digits():
    assert warnings_of_number(NET, 1 - draw(4, 0, 7, 2, width=60)) == []


def test_warnings_of_number_say_that_the_number_of_digits_may_be_wrong():
    """In more than half of the cases in which it is wrong."""
    wrong = warned = 0
    for first, second in itertools.product((0, 2, 3, 5, 8), repeat=2):
        widths = (draw(first, second, width=width) for width in range(50, 10, -1))
        ink = next(ink for ink in widths if ndimage.label(ink > 0.5)[1] == 1)
        if len(read(ink)) != 2:
            wrong += 1
            warned += any("number of digits may be wrong" in warning for warning in warnings_of_number(NET, 1 - ink))
    assert warned > wrong / 2 > 0


def test_warnings_of_number_name_the_digit():
    ink = np.pad(digit_strings.trim(draw(4, 0)), ((30, 0), (30, 30)))[:-12]
    assert any(re.match("digit [12]: ink touches the edge", warning) for warning in warnings_of_number(NET, 1 - ink))


# --- Segments ---


def test_min_cost_path_avoids_ink():
    image = np.zeros((20, 9))
    image[:10, 4:], image[12:, :6] = 1, 1
    ink, columns = min_cost_path(image, 1, 9)
    assert ink < 0.3
    assert image[np.arange(20), columns].sum() == 0
    assert np.abs(np.diff(columns)).max() <= 1


def test_oversegment_assigns_every_pixel_to_a_segment():
    labels, segments, line_height = oversegment(draw(3, 5, 2, width=30), 0.5)
    assert set(np.unique(labels)) == set(range(1, len(segments) + 1))
    assert 0.7 * SIDE < line_height < 1.3 * SIDE
    centres = [segment.left + segment.right for segment in segments]
    assert centres == sorted(centres)


# --- The command line, and the experiment ---


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


@pytest.mark.numeric
def test_two_digits_are_read_as_reported():
    (row,) = (row for row in read_csv(digit_strings.CSV) if row["numbers"] == "2 digits")
    _, test = utils.load_mnist(ROOT / "data")
    now = digit_strings.summarize("2 digits", digit_strings.read_all(NET, test, lengths=[2]))
    assert row["pictures"] == str(now["pictures"])
    # Other versions of Pillow or scipy draw some numbers slightly differently.
    for column in ("digits_right", "all_right", "wrong_count"):
        assert now[column] == pytest.approx(int(row[column]), abs=5)


@pytest.mark.parametrize(
    ("label", "text", "right"), [("123", "123", 3), ("123", "1723", 3), ("123", "321", 1), ("12", "", 0)]
)
def test_count_digits_right_respects_their_order(label, text, right):
    assert digit_strings.count_digits_right(label, text) == right
