"""`read_digit` and the command line: any kind of picture is read, or refused with one clear sentence."""

import errno
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from drawings import as_image, read
from helpers import ROOT
from PIL import Image, features

import reader.__main__ as command
import utils
from model import load_net
from reader import read_digit, samples
from reader.ink import extract_ink
from reader.load_image import LONGEST, load_image
from reader.mnist_format import to_mnist_format
from reader.plot import plot_reading


@pytest.mark.parametrize("path", samples.paths(), ids=lambda path: path.name)
def test_read_digit_reads_the_samples(net, path):
    probabilities, _ = read_digit(net, path)
    assert probabilities.shape == (10,)
    assert probabilities.dtype == torch.float32
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert int(probabilities.argmax()) == samples.LABELS[path.name]


def test_plot_reading_has_one_column_per_picture(net):
    assert len(plot_reading(net, samples.paths()[:3]).axes) == 4 * 3


def test_mnist_images_pass_through_almost_unchanged(net, mnist_test):
    images, labels = mnist_test.images[:300], mnist_test.labels[:300]
    prepared = torch.cat([to_mnist_format(extract_ink(load_image(image))) for image in images])
    assert (prepared.float() - images.float()).abs().mean() < 3
    direct = utils.compute_logits(net, images).argmax(dim=1)
    assert (utils.compute_logits(net, prepared).argmax(dim=1) == direct).float().mean() > 0.99
    assert (direct == labels).float().mean() > 0.98


# --- Kinds of input ---


def in_mode(grey, mode):
    """Return the PIL image `grey` in another mode."""
    if mode == "I;16":
        return Image.fromarray(257 * np.asarray(grey, dtype=np.uint16))
    if mode == "LAB":  # not every version of Pillow converts to it
        return Image.merge(mode, [grey, *[Image.new("L", grey.size, 128)] * 2])
    if mode in {"RGBA", "LA"}:  # black ink on a transparent background
        layers = [Image.new("L", grey.size, 0)] * (len(mode) - 1)
        return Image.merge(mode, [*layers, Image.eval(grey, lambda value: 255 - value)])
    return grey.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16", "RGBA", "LA"])
def test_read_digit_reads_any_mode(net, five, mode):
    large = in_mode(as_image(five).resize((1500, 2100)), mode)
    assert max(load_image(large).shape) < 2 * LONGEST
    assert read(net, in_mode(as_image(five), mode)) == read(net, large) == 5


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tiff"])
def test_read_digit_reads_any_file_format(net, five, tmp_path, suffix):
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    path = tmp_path / f"five.{suffix}"
    as_image(five).convert("RGB").save(path)
    assert read(net, path) == read(net, str(path)) == 5


def layers(*channels):
    return np.uint8(np.rint(np.stack(np.broadcast_arrays(*channels), axis=-1)))


def coloured(ink, colour, paper):
    return layers(*(ink * dark + (1 - ink) * light for dark, light in zip(colour, paper, strict=True)))


def with_shadow_noise_and_specks(ink):
    generator = np.random.default_rng(1)
    scene = (1 - 0.7 * ink) * np.linspace(1, 0.4, 100) + generator.normal(0, 0.03, ink.shape)
    scene[5:7, 5:7] = scene[130:132, 90:92] = 0
    return np.clip(scene, 0, 1)


# Name → function that turns the ink, or the ink of the negative, into what `read_digit` is to read.
PICTURES = {
    "uint8": lambda ink: np.uint8(255 * ink),
    "bool": lambda ink: ink > 0.5,
    "uint16": lambda ink: np.uint16(65535 * ink),
    "float16": lambda ink: ink.astype(np.float16),
    "one channel": lambda ink: np.uint8(255 * ink)[..., None],
    "RGB": lambda ink: np.repeat(ink[..., None], 3, axis=-1),
    "tensor": lambda ink: torch.from_numpy(ink),
    "bfloat16": lambda ink: torch.from_numpy(ink).bfloat16(),
    "batch of one": lambda ink: torch.from_numpy(np.uint8(255 * ink))[None, None],
    "28×28 pixels": lambda ink: as_image(ink).resize((28, 28), Image.Resampling.LANCZOS),
    "30×45 pixels": lambda ink: as_image(ink).resize((30, 45), Image.Resampling.LANCZOS),
    "red on green": lambda ink: coloured(ink, (255, 0, 0), (0, 128, 0)),
    "yellow on white": lambda ink: coloured(ink, (255, 255, 0), (255, 255, 255)),
    "blue on black": lambda ink: coloured(ink, (0, 0, 255), (0, 0, 0)),
}
SCANS = {
    "white and transparent": lambda ink: layers(255, 255 * ink),
    "red and transparent": lambda ink: layers(220, 30, 30, 255 * ink),
    "dark corners of a scan": lambda ink: as_image(ink).rotate(4),
    "shadow, noise and specks": with_shadow_noise_and_specks,
}


@pytest.mark.parametrize("name", PICTURES | SCANS)
def test_read_digit_reads_any_picture(net, five, name):
    assert read(net, (PICTURES | SCANS)[name](five)) == 5
    if name in PICTURES:
        assert read(net, PICTURES[name](1 - five)) == 5


# --- Bad pictures ---

NOISE = np.random.default_rng(0).normal(0.5, 0.05, (90, 90)).clip(0, 1)
BAD = {
    "None": (None, "image is a NoneType"),
    "one row": (np.zeros(28), r"shape \[28\]"),
    "a batch": (np.zeros((2, 1, 28, 28)), r"shape \[2, 1, 28, 28\]"),
    "two pictures": (np.zeros((2, 28, 28)), r"shape \[2, 28, 28\]; it must be \[H, W\], .*\[3, H, W\]"),
    "an empty array": (np.zeros((0, 28)), r"shape \[0, 28\]"),
    "int64": (np.eye(28, dtype=np.int64), "dtype int64"),
    "floats up to 255": (255.0 * np.eye(28), "floats from 0.0 to 255.0"),
    "NaN": (np.full((28, 28), np.nan), "floats from nan"),
    "a picture with negative values": (Image.new("F", (9, 9), -1), "from -1.0"),
    "no pixels": (Image.new("L", (0, 9)), "0×9 pixels"),
    "white": (Image.new("RGB", (90, 90), "white"), "no strokes stand out"),
    "one pixel": (np.zeros((1, 1), dtype=np.uint8), "no strokes stand out"),
    "transparent": (Image.new("RGBA", (90, 90), (0, 0, 0, 0)), "no strokes stand out"),
    "a shadow": (np.linspace(0.4, 0.7, 8100).reshape(90, 90), "no strokes stand out"),
    "noise": (NOISE, "no strokes stand out"),
}


@pytest.mark.parametrize("case", BAD)
def test_read_digit_refuses_bad_pictures(net, case):
    image, words = BAD[case]
    with pytest.raises(ValueError, match=words):
        read_digit(net, image)


# --- The command line ---


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["reader", *map(str, arguments)])
    return command.main()


def test_command_reads_on_after_bad_pictures_and_counts_them(capsys, monkeypatch, tmp_path):
    good = [samples.FOLDER / name for name in ("tablet.png", "chalk.jpg")]
    blank, none = tmp_path / "blank.png", tmp_path / "none.png"
    Image.new("L", (90, 90)).save(blank)
    assert run(monkeypatch, good[0], blank, none, tmp_path, good[1]) == 3
    printed = capsys.readouterr()
    lines = [
        rf"{re.escape(str(path))}: {digit}, confidence \d+\.\d%\n" for path, digit in zip(good, (8, 3), strict=True)
    ]
    assert re.fullmatch("".join(lines), printed.out)
    first, *others = printed.err.splitlines()
    assert first.startswith(f"{blank}: no strokes stand out")
    assert others == [
        f"{none}: {os.strerror(errno.ENOENT)}",
        f"{tmp_path}: {os.strerror(errno.EACCES if os.name == 'nt' else errno.EISDIR)}",
    ]
    assert run(monkeypatch, *good) == 0


@pytest.mark.parametrize("content", [None, b"torn"], ids=["missing", "damaged"])
def test_command_reports_bad_weights_in_one_line(monkeypatch, tmp_path, content):
    weights = tmp_path / "weights.pt"
    if content is not None:
        weights.write_bytes(content)
    monkeypatch.setattr(command, "WEIGHTS", weights)
    monkeypatch.setattr(command, "load_net", lambda: load_net(weights))
    with pytest.raises(SystemExit, match=rf"\A{re.escape(str(weights))}.*\Z"):
        run(monkeypatch, samples.FOLDER / "tablet.png")


def test_command_prints_in_any_encoding_and_imports_only_what_it_needs(five, tmp_path):
    good, bad = tmp_path / "fünf→.png", tmp_path / "none→.png"
    as_image(five).save(good)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "reader", str(bad), str(good)],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "f?nf?.png: 5, confidence" in done.stdout
    assert "none?.png: " in done.stderr
    imported = set(re.findall(r"\| +(\w+)$", done.stderr, flags=re.MULTILINE))
    assert "torch" in imported
    assert not imported & {"matplotlib", "torchvision", "sklearn"}
