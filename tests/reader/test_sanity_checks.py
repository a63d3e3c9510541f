"""Warnings: rare for one digit, and present if the picture shows something else."""

import numpy as np
import pytest
from drawings import as_image, ink_of
from PIL import Image, ImageDraw

import reader.__main__ as command
from experiments.synthetic_photos import font
from reader import read_digit, samples
from reader.image_ops import bounding_box


def sheet(*digits, pen=9, size=(420, 300)):
    """Dark ink on light paper; each of `digits` is a digit and its square, (left, top, side)."""
    return 0.9 - 0.7 * np.maximum.reduce([ink_of(digit, square, size, pen) for digit, square in digits])


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
    assert any(words in warning for warning in read_digit(net, image)[1]), read_digit(net, image)[1]


# The words, and the least number of 8 photographs with such a warning.
@pytest.mark.parametrize(
    ("level", "words", "least"),
    [("a second digit", "side by side", 6), ("half a digit", "touches the edge", 6), ("a scribble", "rotated", 3)],
)
def test_warnings_of_photographs_without_a_single_digit(net, photos, level, words, least):
    found = [read_digit(net, image)[1] for image, _ in photos("no single digit", level)]
    assert sum(any(words in warning for warning in warnings) for warnings in found) >= least, found


def test_warnings_of_one_digit_are_empty(net):
    for digit in range(10):
        image = sheet((digit, (100, 40, 200)))
        assert read_digit(net, image)[1] == [], digit
        cropped = image[bounding_box(image < 0.5)]
        assert not any("touches the edge" in warning for warning in read_digit(net, cropped)[1]), digit
    for path in samples.paths():
        assert read_digit(net, path)[1] == [], path


def test_warnings_of_mnist_digits_are_rare(net, mnist_test):
    assert sum(bool(read_digit(net, image)[1]) for image in mnist_test.images[:100]) <= 5


def test_command_prints_warnings(net, capsys, monkeypatch, tmp_path):
    two = tmp_path / "two.png"
    as_image(1 - NOT_ONE_DIGIT["two digits"][0]).save(two)
    monkeypatch.setattr("sys.argv", ["reader", str(two), str(samples.FOLDER / "tablet.png")])
    assert command.main() == 0
    with_warning, without = capsys.readouterr().out.splitlines()
    assert all(f"; warning: {warning}" in with_warning for warning in read_digit(net, two)[1])
    assert "side by side" in with_warning
    assert without.endswith("%")
