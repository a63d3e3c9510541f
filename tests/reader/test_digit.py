"""`read_digit`: any kind of picture is read, refused with one clear sentence, or gets a warning."""

import numpy as np
import pytest
import torch
from drawings import as_image, ellipse, ink_of, ink_of_lines, ink_of_number, trim
from PIL import Image

import utils
from reader import read_digit, read_number, samples
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.mnist_format import to_mnist_format
from reader.sanity_checks import rotate


def test_the_samples_are_read(net):
    for path in samples.paths():
        probabilities, warnings = read_digit(net, path)
        assert probabilities.shape == (10,)
        assert probabilities.dtype == torch.float32
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert (int(probabilities.argmax()), warnings) == (samples.LABELS[path.name], [])


def test_mnist_images_pass_through_almost_unchanged(net, mnist_test):
    images, labels = mnist_test.images[:300], mnist_test.labels[:300]
    prepared = torch.cat([to_mnist_format(extract_ink(load_image(image))) for image in images])
    assert (prepared.float() - images.float()).abs().mean() < 3
    assert (utils.compute_logits(net, prepared).argmax(dim=1) == labels).float().mean() > 0.98


def coloured(ink, colour, paper):
    return np.uint8(np.where(ink[..., None] > 0.5, colour, paper))


# Name → function that turns the ink, or the ink of the negative, into what is to be read.
PICTURES = {
    "bool": lambda ink: ink > 0.5,
    "uint16 from 0 to 255": lambda ink: np.uint16(255 * ink),
    "uint16 in colour": lambda ink: np.uint16(1023 * np.repeat(ink[..., None], 3, axis=-1)),
    "channels first": lambda ink: torch.from_numpy(np.stack([ink] * 3)),
    "batch of one": lambda ink: torch.from_numpy(np.uint8(255 * ink))[None, None],
    "large palette": lambda ink: as_image(ink).resize((1500, 2100)).convert("P"),
    "1 bit": lambda ink: as_image(ink).convert("1"),
    "12 of 16 bits": lambda ink: Image.fromarray(np.uint16(4095 * ink)),
    "red on green": lambda ink: coloured(ink, (255, 0, 0), (0, 128, 0)),
    "yellow on white": lambda ink: coloured(ink, (255, 255, 0), (255, 255, 255)),
}
SCANS = {
    "white and transparent": lambda ink: coloured(ink, (255, 255), (255, 0)),
    "red and transparent": lambda ink: coloured(ink, (220, 30, 30, 255), (220, 30, 30, 0)),
    "dark corners of a scan": lambda ink: as_image(ink).rotate(4),
}


@pytest.mark.parametrize("name", PICTURES | SCANS)
def test_any_picture_is_read(net, five, name):
    assert int(read_digit(net, (PICTURES | SCANS)[name](five))[0].argmax()) == 5
    if name in PICTURES:  # light on dark
        assert int(read_digit(net, PICTURES[name](1 - five))[0].argmax()) == 5


FINE_NOISE = np.random.default_rng(0).normal(0, 0.004, (90, 90))
BAD = {
    "None": (None, "picture is of type NoneType"),
    "a batch": (np.zeros((2, 1, 28, 28)), r"shape \[2, 1, 28, 28\]; it must be \[H, W\], .*\[3, H, W\]"),
    "int64": (np.eye(28, dtype=np.int64), "dtype int64"),
    "floats up to 255": (255.0 * np.eye(28), "floats from 0.0 to 255.0"),
    "NaN": (np.full((28, 28), np.nan), "floats from nan"),
    "a picture with negative values": (Image.new("F", (9, 9), -1), "from -1.0"),
    "no pixels": (Image.new("L", (0, 9)), "0×9 pixels"),
    "transparent": (Image.new("RGBA", (90, 90), (0, 0, 0, 0)), "no strokes stand out"),
    "a shadow": (np.linspace(0.4, 0.7, 8100).reshape(90, 90), "no strokes stand out"),
    "faint strokes in noise": (0.9 - 0.07 * ink_of(5, (5, 40, 90), (90, 90)) + FINE_NOISE, "no strokes stand out"),
    "noise": (np.random.default_rng(0).normal(0.5, 0.05, (90, 90)).clip(0, 1), "no strokes stand out"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures_are_refused(net, case):
    picture, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        read_digit(net, picture)


def digits(*squares, pen=9, size=(420, 300)):
    """Return the ink of some digits; each of `squares` is a digit and its square, (left, top, side)."""
    return np.maximum.reduce([ink_of(digit, square, size, pen) for digit, square in squares])


NOT_ONE_DIGIT = {
    "two digits": (digits((1, (30, 50, 200)), (9, (200, 50, 200))), "side by side"),
    "a digit far above a digit": (digits((3, (30, 0, 80)), (6, (120, 240, 200)), size=(420, 560)), "far apart"),
    "half a digit": (digits((8, (100, 150, 280))), "touches the edge"),
    "a blob": (digits((8, (100, 40, 200)), pen=60), "thicker"),
    "a hair": (digits((7, (10, 10, 1500)), pen=3, size=(1500, 1500)), "very thin"),
    "a chain": (ink_of_lines(*[ellipse(140, 30 + 45 * i, 80, 50) for i in range(4)], pen=9), "more loops"),
    "a scribble": (ink_of_lines([(30, 40), (270, 30), (40, 90), (260, 170), (90, 180), (210, 20)]), "rotated"),
}


@pytest.mark.parametrize("case", NOT_ONE_DIGIT)
def test_a_warning_names_the_reason(net, case):
    ink, words = NOT_ONE_DIGIT[case]
    _, warnings = read_digit(net, 0.9 - 0.7 * ink)
    assert any(words in warning for warning in warnings), warnings


def test_one_digit_has_no_warning(net):
    for digit in range(10):
        ink = digits((digit, (100, 40, 200)))
        assert read_digit(net, 0.9 - 0.7 * ink)[1] == [], digit
        assert read_digit(net, 0.9 - 0.7 * trim(ink))[1] == [], digit


def test_gaps_in_strokes_are_no_reason_for_a_warning(net):
    for digit in (0, 2, 4):
        ink = digits((digit, (100, 40, 200)))
        ink[:, 200:202] = 0
        assert read_digit(net, 0.9 - 0.7 * ink)[1] == [], digit


def test_rotation_cuts_off_no_ink():
    assert rotate(np.ones((40, 60)), 8).sum() == pytest.approx(2400, rel=0.01)


def test_warnings_about_mnist_digits_are_rare(net, mnist_test):
    assert sum(bool(read_digit(net, image)[1]) for image in mnist_test.images[:100]) <= 5


def test_warnings_about_a_number_name_the_digit(net):
    assert read_number(net, 1 - ink_of_number("4072", width=60))[1] == []
    cut_off = np.pad(trim(ink_of_number("40", width=60)), ((30, 0), (30, 30)))[:-12]
    _, warnings = read_number(net, 1 - cut_off)
    assert any(warning.startswith("digit 2: ink touches the edge") for warning in warnings), warnings
