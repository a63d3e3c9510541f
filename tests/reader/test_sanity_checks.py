"""Warnings: rare for one digit, and present if the picture shows something else."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

import reader.__main__ as command
from experiments import shape_limits
from experiments.timing import read as read_csv
from reader import samples, sanity_checks, warnings_of
from reader.image_ops import bounding_box
from reader.samples.synthetic_photos import draw_digit, font
from reader.shape_features import shape_features


def sheet(*digits, pen=9, size=(420, 300)):
    """Dark ink on light paper; each of `digits` is a digit and its square, (left, top, side)."""
    ink = [draw_digit(digit, size, pen, square, np.random.default_rng(0)) for digit, square in digits]
    return 0.9 - 0.7 * np.maximum.reduce(ink)


def text_above_a_six():
    screen = Image.fromarray(np.uint8(255 * sheet((6, (120, 240, 200)), size=(420, 560))))
    ImageDraw.Draw(screen).text((20, 10), "Notes", fill=0, font=font("DejaVuSans", 50))
    return screen


def chain():
    canvas = Image.new("L", (300, 300), 255)
    for i in range(4):
        ImageDraw.Draw(canvas).ellipse((90, 20 + 60 * i, 190, 90 + 60 * i), outline=0, width=9)
    return canvas


NOT_ONE_DIGIT = {
    "two digits": (sheet((1, (30, 50, 200)), (9, (200, 50, 200))), "side by side"),
    "three digits": (sheet((1, (10, 90, 120)), (9, (140, 90, 120)), (4, (270, 90, 120))), "side by side"),
    "text above a digit": (text_above_a_six(), "far apart"),
    "half a digit": (sheet((8, (100, 150, 280))), "touches the edge"),
    "a blob": (sheet((8, (100, 40, 200)), pen=60), "thicker"),
    "a hair": (sheet((7, (10, 10, 1500)), pen=3, size=(1500, 1500)), "very thin"),
    "a chain": (chain(), "more loops"),
}


@pytest.mark.parametrize("case", NOT_ONE_DIGIT)
def test_warnings_of_names_the_reason(net, case):
    image, words = NOT_ONE_DIGIT[case]
    assert any(words in warning for warning in warnings_of(net, image)), warnings_of(net, image)


@pytest.mark.parametrize("digit", range(10))
def test_warnings_of_a_tight_crop_do_not_say_that_a_part_is_missing(net, digit):
    image = sheet((digit, (100, 40, 200)))
    cropped = image[bounding_box(image < 0.5)]
    assert not any("touches the edge" in warning for warning in warnings_of(net, cropped))


def test_warnings_of_scribbles_name_rotation(net, photos):
    scribbles = [image for image, _ in photos("no single digit", "a scribble")]
    assert sum(any("rotated" in warning for warning in warnings_of(net, image)) for image in scribbles) >= 10


@pytest.mark.parametrize("level", ["a second digit", "two more digits", "a word", "half a digit"])
def test_warnings_of_photographs_without_a_single_digit(net, photos, level):
    warned = [bool(warnings_of(net, image)) for image, _ in photos("no single digit", level)]
    assert sum(warned) >= len(warned) - 2


def test_warnings_of_one_digit_are_empty(net):
    for digit in range(10):
        assert warnings_of(net, sheet((digit, (100, 40, 200)))) == [], digit
    for path in samples.paths():
        assert warnings_of(net, path) == [], path


def test_warnings_of_mnist_digits_are_rare(net, mnist):
    assert sum(bool(warnings_of(net, image)) for image in mnist[1].images[:300].cpu()) <= 15


def test_limits_are_quantiles_of_the_training_images():
    rows = {row["feature"]: row for row in read_csv(shape_limits.CSV)}
    assert {name: float(rows[name]["99.9%"]) for name in sanity_checks.MAX_FEATURES} == sanity_checks.MAX_FEATURES
    assert float(rows["stroke_width"]["0.1%"]) == sanity_checks.MIN_STROKE_WIDTH
    # The network's answers depend on the weights.
    assert float(rows["stability"]["1%"]) == pytest.approx(sanity_checks.MIN_STABILITY, abs=0.05)


def test_command_prints_warnings(net, capsys, monkeypatch, tmp_path):
    two = tmp_path / "two.png"
    Image.fromarray(np.uint8(255 * NOT_ONE_DIGIT["two digits"][0])).save(two)
    monkeypatch.setattr("sys.argv", ["reader", str(two), str(samples.FOLDER / "tablet.png")])
    assert command.main() == 0
    with_warning, without = capsys.readouterr().out.splitlines()
    assert all(f"; warning: {warning}" in with_warning for warning in warnings_of(net, two))
    assert "side by side" in with_warning
    assert without.endswith("%")


@pytest.mark.parametrize("pen", [8, 20, 40])
@pytest.mark.parametrize("size", [100, 500])
def test_shape_features_measure_the_stroke_width(pen, size):
    ink = np.zeros((size + 40, size + 40))
    ink[20:-20, 50 : 50 + pen * size // 200] = 1
    assert shape_features(ink)["stroke_width"] == pytest.approx(20 * pen / 200, abs=0.25)  # the mask rounds to pixels


def test_shape_features_count_holes_and_measure_gaps():
    ink = np.zeros((200, 200))
    ink[20:60, 20:60] = ink[150:190, 20:60] = 1
    ink[30:50, 30:50] = 0
    features = shape_features(ink)
    assert features["n_holes"] == 1
    assert features["neighbour_height"] == 0
    assert features["largest_gap"] == pytest.approx(90 / 170, abs=0.05)
    assert shape_features(ink.T)["neighbour_height"] == pytest.approx(1, abs=0.1)
