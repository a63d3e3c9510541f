"""`read_digit`: any kind of picture is read, or refused with one clear sentence."""

import numpy as np
import pytest
import torch
from drawings import as_image
from PIL import Image

import utils
from reader import read_digit, samples
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.mnist_format import to_mnist_format
from reader.plot import plot_reading


def test_the_samples_are_read(net):
    for path in samples.paths():
        probabilities, warnings = read_digit(net, path)
        assert probabilities.shape == (10,)
        assert probabilities.dtype == torch.float32
        assert probabilities.sum() == pytest.approx(1, abs=1e-5)
        assert (int(probabilities.argmax()), warnings) == (samples.LABELS[path.name], [])


def test_plot_reading_has_one_column_per_picture(net):
    assert len(plot_reading(net, samples.paths()[:3]).axes) == 4 * 3


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
    "uint16": lambda ink: np.uint16(65535 * ink),
    "uint16 from 0 to 255": lambda ink: np.uint16(255 * ink),
    "uint16 in colour": lambda ink: np.uint16(1023 * np.repeat(ink[..., None], 3, axis=-1)),
    "channels first": lambda ink: torch.from_numpy(np.stack([ink] * 3)),
    "bfloat16": lambda ink: torch.from_numpy(ink).bfloat16(),
    "batch of one": lambda ink: torch.from_numpy(np.uint8(255 * ink))[None, None],
    "large palette": lambda ink: as_image(ink).resize((1500, 2100)).convert("P"),
    "large CMYK": lambda ink: as_image(ink).resize((1500, 2100)).convert("CMYK"),
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


BAD = {
    "None": (None, "picture is of type NoneType"),
    "a batch": (np.zeros((2, 1, 28, 28)), r"shape \[2, 1, 28, 28\]; it must be \[H, W\], .*\[3, H, W\]"),
    "an empty array": (np.zeros((0, 28)), r"shape \[0, 28\]"),
    "int64": (np.eye(28, dtype=np.int64), "dtype int64"),
    "floats up to 255": (255.0 * np.eye(28), "floats from 0.0 to 255.0"),
    "NaN": (np.full((28, 28), np.nan), "floats from nan"),
    "a picture with negative values": (Image.new("F", (9, 9), -1), "from -1.0"),
    "no pixels": (Image.new("L", (0, 9)), "0×9 pixels"),
    "one pixel": (np.zeros((1, 1), dtype=np.uint8), "no strokes stand out"),
    "transparent": (Image.new("RGBA", (90, 90), (0, 0, 0, 0)), "no strokes stand out"),
    "a shadow": (np.linspace(0.4, 0.7, 8100).reshape(90, 90), "no strokes stand out"),
    "noise": (np.random.default_rng(0).normal(0.5, 0.05, (90, 90)).clip(0, 1), "no strokes stand out"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_pictures_are_refused(net, case):
    picture, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        read_digit(net, picture)
