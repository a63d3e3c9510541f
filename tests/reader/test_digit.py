"""`predict` and the command line: any kind of picture is read, or refused with one clear sentence."""

import errno
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT
from PIL import Image, features

import reader.__main__ as command
import utils
from experiments import other_digits
from experiments.timing import read as read_csv
from model import load_net
from reader import predict, samples
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.mnist_format import to_mnist_format
from reader.plot import plot_reading
from reader.samples import synthetic_photos


def read(net, image):
    return int(predict(net, image).argmax())


@pytest.mark.parametrize("path", samples.paths(), ids=lambda path: path.name)
def test_predict_reads_the_samples(net, path):
    probabilities = predict(net, path)
    assert probabilities.shape == (10,)
    assert probabilities.dtype == torch.float32
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert int(probabilities.argmax()) == samples.LABELS[path.name]


@pytest.mark.parametrize("seed", range(6))
def test_synthetic_photos_makes_the_samples(seed):
    name, make = list(synthetic_photos.MAKERS.items())[seed]
    made, committed = load_image(make(np.random.default_rng(seed))), load_image(samples.FOLDER / name)
    assert made.shape == committed.shape
    # JPEG is lossy, and other versions of Pillow draw differently by a pixel. Means of blocks hardly differ.
    blocks = [np.asarray(Image.fromarray(v).resize((12, 12), Image.Resampling.BOX)) for v in (made, committed)]
    assert np.abs(blocks[0] - blocks[1]).max() < 0.2
    assert np.abs(blocks[0] - blocks[1]).mean() < 0.02


def test_plot_reading_has_one_column_per_picture(net):
    assert len(plot_reading(net, samples.paths()[:3]).axes) == 4 * 3


@pytest.mark.parametrize("angle", [0, 30])
def test_printed_digits_are_read_as_reported(net, angle):
    rows = {row["digits"]: row for row in read_csv(other_digits.CSV)}
    pairs = other_digits.printed(angle)
    row = rows[f"the same, rotated left by {angle}°" if angle else f"printed, {len(other_digits.FONTS)} fonts"]
    assert row["images"] == str(len(pairs))
    # Other versions of Pillow or matplotlib draw some digits slightly differently.
    assert other_digits.count_correct(net, pairs) == pytest.approx(int(row["correct"]), abs=3)


# --- Kinds of input ---


def in_mode(ink, mode):
    grey = Image.fromarray(np.uint8(255 * (1 - ink)))
    if mode == "I;16":
        return Image.fromarray(np.uint16(65535 * (1 - ink)))
    if mode == "LAB":  # not every version of Pillow converts to it
        return Image.merge(mode, [grey, *[Image.new("L", grey.size, 128)] * 2])
    if mode in {"RGBA", "LA"}:  # black ink on a transparent background
        layers = [Image.new("L", grey.size, 0)] * (len(mode) - 1)
        return Image.merge(mode, [*layers, Image.fromarray(np.uint8(255 * ink))])
    return grey.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16", "RGBA", "LA"])
def test_predict_reads_any_mode(net, five, mode):
    assert read(net, in_mode(five, mode)) == 5


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tiff"])
def test_predict_reads_any_file_format(net, five, tmp_path, suffix):
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    path = tmp_path / f"five.{suffix}"
    in_mode(five, "RGB").save(path)
    assert read(net, path) == read(net, str(path)) == 5


ARRAYS = {
    "uint8": lambda ink: np.uint8(255 * ink),
    "bool": lambda ink: ink > 0.5,
    "uint16": lambda ink: np.uint16(65535 * ink),
    "float16": lambda ink: ink.astype(np.float16),
    "one channel": lambda ink: np.uint8(255 * ink)[..., None],
    "grey and opacity": lambda ink: np.uint8(255 * np.stack([0 * ink, ink], axis=-1)),
    "RGB": lambda ink: np.repeat(ink[..., None], 3, axis=-1),
    "tensor": lambda ink: torch.from_numpy(ink),
    "batch of one": lambda ink: torch.from_numpy(np.uint8(255 * ink))[None, None],
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("inverted", [False, True])
def test_predict_reads_any_array(net, five, kind, inverted):
    if inverted and "opacity" in kind:
        pytest.skip("ink and paper are distinguished by opacity")
    assert read(net, ARRAYS[kind](1 - five if inverted else five)) == 5


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (220, 30, 30), (240, 240, 40)])
def test_predict_reads_transparent_pictures(net, five, colour):
    layers = [Image.new("L", (100, 140), value) for value in colour]
    assert read(net, Image.merge("RGBA", [*layers, Image.fromarray(np.uint8(255 * five))])) == 5


@pytest.mark.parametrize("size", [(28, 28), (30, 45), (64, 64), (300, 200), (1500, 2100)])
def test_predict_reads_any_size(net, five, size):
    assert read(net, in_mode(five, "L").resize(size, Image.Resampling.LANCZOS)) == 5


INKS = {
    "red on green": ((255, 0, 0), (0, 128, 0)),
    "orange on grey": ((255, 136, 0), (160, 160, 160)),
    "yellow on white": ((255, 255, 0), (255, 255, 255)),
    "blue on black": ((0, 0, 255), (0, 0, 0)),
}


@pytest.mark.parametrize("case", INKS)
def test_predict_finds_ink_by_its_colour(net, five, case):
    ink, paper = (np.array(colour) for colour in INKS[case])
    assert read(net, np.uint8(np.rint(five[..., None] * ink + (1 - five[..., None]) * paper))) == 5


def test_predict_ignores_dark_corners_of_a_scan(net, five):
    assert read(net, in_mode(five, "L").rotate(4)) == 5


def test_predict_ignores_shadow_noise_and_specks(net, five):
    generator = np.random.default_rng(1)
    scene = (1 - 0.7 * five) * np.linspace(1, 0.4, 100) + generator.normal(0, 0.03, five.shape)
    scene[5:7, 5:7] = scene[130:132, 90:92] = 0
    assert read(net, np.clip(scene, 0, 1)) == 5


def test_mnist_images_pass_through_almost_unchanged(net, mnist):
    images, labels = mnist[1].images[:400].cpu(), mnist[1].labels[:400].cpu()
    prepared = torch.cat([to_mnist_format(extract_ink(load_image(image))) for image in images])
    assert (prepared.float() - images.float()).abs().mean() < 3
    direct = utils.compute_logits(net, images).argmax(dim=1)
    assert (utils.compute_logits(net, prepared).argmax(dim=1) == direct).float().mean() > 0.99
    assert (direct == labels).float().mean() > 0.98


def test_predict_leaves_the_model_in_training_mode(net, five):
    net.train()
    try:
        before = predict(net, five)
        assert net.training
    finally:
        net.eval()
    assert torch.equal(predict(net, five), before)


# --- Bad pictures ---

BAD = {
    "no file": (lambda folder: folder / "none.png", FileNotFoundError, r"none\.png"),
    "a folder": (lambda folder: folder, OSError, ""),
    "None": (lambda _: None, ValueError, "image is a NoneType"),
    "a list": (lambda _: [[0, 1]], ValueError, "image is a list"),
    "one row": (lambda _: np.zeros(28), ValueError, r"shape \[28\]"),
    "a batch": (lambda _: np.zeros((2, 1, 28, 28)), ValueError, r"shape \[2, 1, 28, 28\]"),
    "an empty array": (lambda _: np.zeros((0, 28)), ValueError, r"shape \[0, 28\]"),
    "int64": (lambda _: np.eye(28, dtype=np.int64), ValueError, "dtype int64"),
    "floats up to 255": (lambda _: 255.0 * np.eye(28), ValueError, "floats from 0.0 to 255.0"),
    "NaN": (lambda _: np.full((28, 28), np.nan), ValueError, "floats from nan"),
    "a picture with negative values": (lambda _: Image.new("F", (9, 9), -1), ValueError, "from -1.0"),
    "no pixels": (lambda _: Image.new("L", (0, 9)), ValueError, "0×9 pixels"),
    "white": (lambda _: Image.new("RGB", (90, 90), "white"), ValueError, "no strokes stand out"),
    "black": (lambda _: np.zeros((90, 90), dtype=np.uint8), ValueError, "no strokes stand out"),
    "one pixel": (lambda _: np.zeros((1, 1), dtype=np.uint8), ValueError, "no strokes stand out"),
    "transparent": (lambda _: Image.new("RGBA", (90, 90), (0, 0, 0, 0)), ValueError, "no strokes stand out"),
    "a shadow": (lambda _: np.linspace(0.4, 0.7, 8100).reshape(90, 90), ValueError, "no strokes stand out"),
    "noise": (
        lambda _: np.clip(np.random.default_rng(0).normal(0.5, 0.05, (90, 90)), 0, 1),
        ValueError,
        "no strokes stand out",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_predict_refuses_bad_pictures(net, tmp_path, case):
    make, error, words = BAD[case]
    with pytest.raises(error, match=words or re.escape(str(tmp_path))):
        predict(net, make(tmp_path))


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


@pytest.mark.parametrize("content", [None, b"", b"torn"], ids=["missing", "empty", "damaged"])
def test_command_reports_bad_weights_in_one_line(monkeypatch, tmp_path, content):
    weights = tmp_path / "weights.pt"
    if content is not None:
        weights.write_bytes(content)
    monkeypatch.setattr(command, "WEIGHTS", weights)
    monkeypatch.setattr(command, "load_net", lambda: load_net(weights))
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, samples.FOLDER / "tablet.png")
    assert str(ended.value).startswith(str(weights))
    assert "\n" not in str(ended.value)


def test_command_prints_in_any_encoding(five, tmp_path):
    good, bad = tmp_path / "fünf→.png", tmp_path / "none→.png"
    in_mode(five, "L").save(good)
    done = subprocess.run(
        [sys.executable, "-m", "reader", str(bad), str(good)],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "f?nf?.png: 5, confidence" in done.stdout
    assert "none?.png: " in done.stderr


def test_command_does_not_import_what_it_does_not_need():
    script = "import sys; import reader.__main__; print({'matplotlib', 'torchvision', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
