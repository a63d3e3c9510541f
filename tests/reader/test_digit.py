"""Your own picture: whatever it is, it becomes a digit as MNIST has them, or one clear sentence."""

import errno
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import Hostile
from PIL import Image, features

import utils
from experiments import other_digits as elsewhere
from experiments import runner as study
from model import Net, load_net
from reader import digit as picture
from reader import samples as pictures
from reader.samples import synthetic_photos as make


@pytest.fixture(scope="module")
def net():
    return load_net()


@pytest.fixture(scope="module")
def five():
    """Ink of a five, float [140, 100] from 0 to 1, off the middle."""
    return make.draw(5, (100, 140), 9, (5, 40, 90), np.random.default_rng(0))


def read(net, image):
    return int(picture.predict(net, image).argmax())


# --- What the repository carries ---


@pytest.mark.parametrize(("name", "digit"), [(name, digit) for name, (_, digit) in make.PICTURES.items()])
def test_the_pictures_of_the_repository_are_read(net, name, digit):
    probabilities = picture.predict(net, make.HERE / name)
    assert probabilities.shape == (10,)
    assert probabilities.dtype == torch.float32
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert int(probabilities.argmax()) == digit


def test_a_picture_that_a_user_put_beside_them_is_left_out(monkeypatch):
    fewer = {
        name: made for name, made in make.PICTURES.items() if name != "tablet.png"
    }  # which lies there all the same
    monkeypatch.setattr(make, "PICTURES", fewer)
    assert [path.name for path in pictures.paths()] == sorted(fewer)
    assert all(path.exists() for path in pictures.paths())


@pytest.mark.parametrize("seed", range(len(make.PICTURES)))
def test_the_pictures_are_those_that_the_script_makes(net, seed):
    name, (function, digit) = list(make.PICTURES.items())[seed]
    image = function(np.random.default_rng(seed))
    made = picture.read_picture(image)
    there = picture.read_picture(make.HERE / name)
    assert made.shape == there.shape
    # JPEG loses something, and other versions may draw a pixel further or take their grain from other numbers. In the
    # means of blocks little is left of that, and the digit is read all the same.
    blocks = [np.asarray(Image.fromarray(values).resize((12, 12), Image.Resampling.BOX)) for values in (made, there)]
    difference = np.abs(blocks[0] - blocks[1])
    assert difference.max() < 0.2
    assert difference.mean() < 0.02
    assert read(net, image) == digit


@pytest.mark.parametrize("turn", [0, 15, 30])
def test_the_printed_digits_are_read_as_the_csv_says(net, turn):
    rows = {row["digits"]: row for row in study.read(elsewhere.CSV)}
    pairs = elsewhere.printed(turn)
    row = rows[f"the same, turned left by {turn}°" if turn else f"printed, {len(elsewhere.FONTS)} fonts"]
    assert row["images"] == str(len(pairs))
    # Another version of Pillow or matplotlib may draw some a little otherwise, and a few of them are hard to tell.
    assert elsewhere.count(net, pairs) == pytest.approx(int(row["correct"]), abs=3)


# --- Any form ---


def in_mode(ink, mode):
    grey = Image.fromarray(np.uint8(255 * (1 - ink)))
    if mode == "I;16":
        return Image.fromarray(np.uint16(65535 * (1 - ink)))
    if mode == "LAB":  # not every version converts to it
        return Image.merge(mode, [grey, *[Image.new("L", grey.size, 128)] * 2])
    if mode in {"RGBA", "LA"}:  # black ink on nothing
        layers = [Image.new("L", grey.size, 0)] * (len(mode) - 1)
        return Image.merge(mode, [*layers, Image.fromarray(np.uint8(255 * ink))])
    return grey.convert(mode)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16", "RGBA", "LA"])
def test_any_mode_is_read(net, five, mode):
    assert read(net, in_mode(five, mode)) == 5


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "bmp", "webp", "tiff"])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_any_file_is_read(net, five, tmp_path, suffix, kind):
    if suffix == "webp" and not features.check("webp"):
        pytest.skip("this Pillow was built without WebP")
    path = tmp_path / f"five.{suffix}"
    in_mode(five, "RGB").save(path)
    assert read(net, kind(path)) == 5


ARRAYS = {
    "uint8": lambda ink: np.uint8(255 * ink),
    "bool": lambda ink: ink > 0.5,
    "uint16": lambda ink: np.uint16(65535 * ink),
    "float32": lambda ink: ink.astype(np.float32),
    "float64": lambda ink: ink,
    "float16": lambda ink: ink.astype(np.float16),
    "one channel first": lambda ink: np.uint8(255 * ink)[None],
    "one channel last": lambda ink: np.uint8(255 * ink)[..., None],
    "grey and opacity": lambda ink: np.uint8(255 * np.stack([0 * ink, ink], axis=-1)),
    "three channels": lambda ink: np.repeat(ink[..., None], 3, axis=-1),
    "four channels": lambda ink: np.uint8(255 * np.stack([ink * 0, ink * 0, ink * 0, ink], axis=-1)),
    "tensor": lambda ink: torch.from_numpy(ink),
    "tensor, one channel": lambda ink: torch.from_numpy(np.uint8(255 * ink))[None],
    "a batch of one": lambda ink: torch.from_numpy(np.uint8(255 * ink))[None, None],
}


@pytest.mark.parametrize("kind", ARRAYS)
@pytest.mark.parametrize("inverted", [False, True])
def test_any_array_is_read_whichever_is_the_ink(net, five, kind, inverted):
    if inverted and ("four" in kind or "opacity" in kind):
        pytest.skip("ink and paper are told apart by opacity")
    assert read(net, ARRAYS[kind](1 - five if inverted else five)) == 5


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (220, 30, 30), (240, 240, 40)])
def test_transparent_pictures_are_read_whatever_the_ink(net, five, colour):
    layers = [Image.new("L", (100, 140), value) for value in colour]
    assert read(net, Image.merge("RGBA", [*layers, Image.fromarray(np.uint8(255 * five))])) == 5


@pytest.mark.parametrize("size", [(28, 28), (30, 45), (64, 64), (300, 200), (1500, 2100)])
def test_any_size_is_read(net, five, size):
    assert read(net, in_mode(five, "L").resize(size, Image.Resampling.LANCZOS)) == 5


def test_a_picture_is_turned_as_the_camera_says(net, five, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned right by 90°
    in_mode(five, "L").rotate(90, expand=True).save(tmp_path / "five.jpg", exif=exif)
    assert read(net, tmp_path / "five.jpg") == 5
    assert read(net, Image.open(tmp_path / "five.jpg")) == 5


INKS = {
    "red on green": ((255, 0, 0), (0, 128, 0)),
    "orange on grey": ((255, 136, 0), (160, 160, 160)),
    "green on magenta": ((0, 160, 0), (255, 0, 255)),
    "yellow on white": ((255, 255, 0), (255, 255, 255)),
    "blue on black": ((0, 0, 255), (0, 0, 0)),
}


@pytest.mark.parametrize("case", INKS)
def test_ink_is_found_by_its_colour_too(net, five, case):
    ink, paper = (np.array(colour) for colour in INKS[case])
    assert read(net, np.uint8(np.rint(five[..., None] * ink + (1 - five[..., None]) * paper))) == 5


def test_a_scan_s_dark_corners_are_left_out(net, five):
    assert read(net, in_mode(five, "L").rotate(4)) == 5


def test_shadow_grain_and_specks_do_not_matter(net, five):
    generator = np.random.default_rng(1)
    scene = (1 - 0.7 * five) * np.linspace(1, 0.4, 100) + generator.normal(0, 0.03, five.shape)
    scene[5:7, 5:7] = scene[130:132, 90:92] = 0
    assert read(net, np.clip(scene, 0, 1)) == 5


def test_mnist_s_own_images_come_through(net, mnist):
    images, labels = mnist[1].images[:400].cpu(), mnist[1].labels[:400].cpu()
    prepared = torch.cat([picture.center_ink(picture.find_ink(picture.read_picture(image))) for image in images])
    assert (prepared.float() - images.float()).abs().mean() < 3
    direct = utils.compute_logits(net, images).argmax(dim=1)
    assert (utils.compute_logits(net, prepared).argmax(dim=1) == direct).float().mean() > 0.99
    assert (direct == labels).float().mean() > 0.98


def test_it_works_in_training_mode_and_leaves_it(net, five):
    net.train()
    try:
        before = picture.predict(net, five)
        assert net.training
    finally:
        net.eval()
    assert torch.equal(picture.predict(net, five), before)


# --- Bad pictures ---


def file_of(content):
    def make_it(folder):
        path = folder / "bad.png"
        path.write_bytes(content)
        return path

    return make_it


def png():
    """A picture of noise in a file of some 3,600 bytes. From byte 41 on its pixels: first how they are packed."""
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60), dtype=np.uint8)).save(content, "png")
    return content.getvalue()


def grain(_):
    return np.clip(np.random.default_rng(0).normal(0.5, 0.05, (90, 90)), 0, 1)


BAD = {
    "no file": (lambda folder: folder / "none.png", FileNotFoundError, "none.png"),
    "a folder": (lambda folder: folder, OSError, ""),
    "an empty file": (file_of(b""), ValueError, "bad.png is no picture"),
    "a text": (file_of(b"seven"), ValueError, "bad.png is no picture"),
    "half a picture": (file_of(png()[:400]), ValueError, "bad.png is no picture"),
    "a picture with a damaged part": (file_of(png()[:41] + b"xxxx" + png()[45:]), ValueError, "bad.png is no picture"),
    "nothing": (lambda _: None, ValueError, "image is a NoneType"),
    "a number": (lambda _: 7, ValueError, "image is a int"),
    "a list": (lambda _: [[0, 1]], ValueError, "image is a list"),
    "one row": (lambda _: np.zeros(28), ValueError, r"shape \[28\]"),
    "a batch": (lambda _: np.zeros((2, 1, 28, 28)), ValueError, r"shape \[2, 1, 28, 28\]"),
    "five channels": (lambda _: np.zeros((9, 9, 5)), ValueError, r"shape \[9, 9, 5\]"),
    "an empty array": (lambda _: np.zeros((0, 28)), ValueError, r"shape \[0, 28\]"),
    "int64": (lambda _: np.eye(28, dtype=np.int64), ValueError, "dtype int64"),
    "complex numbers": (lambda _: np.eye(28, dtype=complex), ValueError, "dtype complex128"),
    "floats up to 255": (lambda _: 255.0 * np.eye(28), ValueError, "floats from 0.0 to 255.0"),
    "negative floats": (lambda _: -np.eye(28), ValueError, "floats from -1.0"),
    "NaN": (lambda _: np.full((28, 28), np.nan), ValueError, "floats from nan"),
    "white": (lambda _: Image.new("RGB", (90, 90), "white"), ValueError, "no strokes stand out"),
    "black": (lambda _: np.zeros((90, 90), dtype=np.uint8), ValueError, "no strokes stand out"),
    "grey of 16 bits": (lambda _: Image.new("I;16", (90, 90), 900), ValueError, "no strokes stand out"),
    "one pixel": (lambda _: np.zeros((1, 1), dtype=np.uint8), ValueError, "no strokes stand out"),
    "transparent": (lambda _: Image.new("RGBA", (90, 90), (0, 0, 0, 0)), ValueError, "no strokes stand out"),
    "grain": (grain, ValueError, "no strokes stand out"),
    "a shadow": (lambda _: np.linspace(0.4, 0.7, 8100).reshape(90, 90), ValueError, "no strokes stand out"),
    "16 bits, nearly alike": (
        lambda _: Image.fromarray(np.uint16(60000 - 100 * np.eye(90))),
        ValueError,
        "no strokes stand out",
    ),
    "a picture with NaN": (lambda _: Image.fromarray(np.full((9, 9), np.nan, np.float32)), ValueError, "from nan"),
    "a picture with negative values": (lambda _: Image.new("F", (9, 9), -1), ValueError, "from -1.0"),
    "no pixels": (lambda _: Image.new("L", (0, 9)), ValueError, "0×9 pixels"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_picture_is_refused_in_one_sentence(net, tmp_path, case):
    picture_of, error, words = BAD[case]
    with pytest.raises(error, match=words or re.escape(str(tmp_path))):
        picture.predict(net, picture_of(tmp_path))


def test_a_picture_that_would_fill_the_memory_is_refused(net, tmp_path, monkeypatch):
    Image.new("L", (300, 300)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"bomb.png is no picture that can be read"):
        picture.predict(net, tmp_path / "bomb.png")


# --- The weights ---


@pytest.mark.parametrize("kind", ["text", "another network", "hostile"])
def test_weights_that_do_not_fit_are_refused(tmp_path, kind):
    path, mark = tmp_path / "weights.pt", tmp_path / "mark"
    content = {"another network": torch.nn.Linear(2, 2).state_dict(), "hostile": {"edges": Hostile(mark)}}
    if kind == "text":
        path.write_text("weights")
    else:
        torch.save(content[kind], path)
    with pytest.raises(ValueError, match=r"weights.pt holds no weights of this network"):
        load_net(path)
    assert not mark.exists()


@pytest.mark.parametrize("read_it", [load_net, picture.open_picture])
def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch, read_it):
    path = tmp_path / "forbidden"
    path.write_bytes(b"there")

    def refuse(file, *_, **__):  # as root, the tests would open it whatever its mode
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", refuse)
        patch.setattr("io.open", refuse)
        with pytest.raises(PermissionError) as caught:
            read_it(path)
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("name", ["none", "", 300 * "n"], ids=["no file", "a folder", "a name that is too long"])
@pytest.mark.parametrize("read_it", [load_net, picture.open_picture])
def test_what_is_no_file_is_named(tmp_path, read_it, name):
    with pytest.raises(OSError) as caught:  # noqa: PT011, which error it is depends on the system
        read_it(tmp_path / name)
    assert Path(caught.value.filename) == tmp_path / name


def test_the_command_reads_pictures_and_goes_on_after_a_bad_one(capsys, monkeypatch, tmp_path):
    good = [str(make.HERE / name) for name in ("tablet.png", "chalk.jpg")]
    blank, none = str(tmp_path / "blank.png"), str(tmp_path / "none.png")
    Image.new("L", (90, 90)).save(blank)
    monkeypatch.setattr("sys.argv", ["picture.py", good[0], blank, none, str(tmp_path), good[1]])
    assert picture.main() == 1
    printed = capsys.readouterr()
    lines = [rf"{re.escape(path)}: {digit}, \d+\.\d% sure\n" for path, digit in zip(good, (8, 3), strict=True)]
    assert re.fullmatch("".join(lines), printed.out)
    first, *others = printed.err.splitlines()
    assert first.startswith(f"{blank}: no strokes stand out from the paper in the image, by 8% of the way from black")
    assert others == [
        f"{none}: {os.strerror(errno.ENOENT)}",
        f"{tmp_path}: {os.strerror(errno.EACCES if os.name == 'nt' else errno.EISDIR)}",
    ]
    monkeypatch.setattr("sys.argv", ["picture.py", *good])
    assert picture.main() == 0


@pytest.mark.parametrize("content", [None, b"", b"torn"], ids=["missing", "empty", "damaged"])
def test_the_command_says_in_one_line_that_the_weights_cannot_be_loaded(monkeypatch, tmp_path, content):
    weights = tmp_path / "weights.pt"
    if content is not None:
        weights.write_bytes(content)
    monkeypatch.setattr(picture, "WEIGHTS", weights)
    monkeypatch.setattr(picture, "load_net", lambda: load_net(weights))
    monkeypatch.setattr("sys.argv", ["picture.py", str(make.HERE / "tablet.png")])
    with pytest.raises(SystemExit) as ended:
        picture.main()
    assert str(ended.value).startswith(str(weights))
    assert "\n" not in str(ended.value)


def test_the_net_is_ready_to_use():
    net = load_net()
    assert isinstance(net, Net)
    assert not net.training
