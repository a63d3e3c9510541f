"""Files, arrays and tensors → brightness: large ones quickly, unknown ones with a sentence that helps."""

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from model import load_net
from reader import digit as picture
from reader import load_image as decode
from reader.samples import synthetic_photos as make


@pytest.fixture(scope="module")
def net():
    return load_net()


@pytest.fixture(scope="module")
def five():
    """Ink of a five, float [140, 100] from 0 to 1, off the middle."""
    return make.draw(5, (100, 140), 9, (5, 40, 90), np.random.default_rng(0))


def colours_of(five):
    return np.uint8(255 - 200 * np.repeat(five[..., None], 3, axis=-1))


# --- Large pictures ---


@pytest.mark.parametrize("size", [(8064, 6048), (12000, 9000)], ids=["48 megapixels", "108 megapixels"])
def test_a_large_jpeg_is_shrunk_while_it_is_decoded(net, five, tmp_path, size):
    path = tmp_path / "large.jpg"
    Image.fromarray(colours_of(five)[..., 0]).resize(size).save(path, quality=75)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow warns of a decompression bomb from 89 megapixels on
        opened = decode.open_picture(path)
    assert max(opened.size) < 2 * decode.LONGEST
    assert max(opened.size) >= decode.LONGEST
    assert int(picture.predict(net, path).argmax()) == 5


def test_a_small_jpeg_is_not_shrunk(five, tmp_path):
    Image.fromarray(colours_of(five)).save(tmp_path / "small.jpg")
    assert decode.open_picture(tmp_path / "small.jpg").size == (100, 140)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "I", "F", "I;16"])
def test_other_large_pictures_become_no_larger_arrays(net, five, mode):
    grey = Image.fromarray(np.uint8(255 * (1 - five))).resize((2000, 2800))
    if mode == "I;16":
        large = Image.fromarray(np.uint16(257 * np.asarray(grey, dtype=np.uint16)))
    else:
        large = grey.convert(mode)
    brightness = decode.read_picture(large)
    assert max(brightness.shape) <= 2 * decode.LONGEST
    assert int(picture.predict(net, large).argmax()) == 5


def test_shrinking_keeps_means_and_transparency():
    opacity = np.zeros((2000, 2000), np.uint8)
    opacity[500:1500, 900:1100] = 255
    layers = [Image.new("L", (2000, 2000), 0)] * 3
    brightness = decode.read_picture(Image.merge("RGBA", [*layers, Image.fromarray(opacity)]))
    assert brightness.mean() == pytest.approx(1 - 0.05, abs=0.005)


# --- Unknown files ---

FOREIGN = {
    "HEIC": b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(64),
    "HEIC of a burst": b"\0\0\0\x24ftyphevc\0\0\0\0msf1hevc" + bytes(64),
    "PDF": b"%PDF-1.7\n" + bytes(64),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>',
    "SVG with a head": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "of no format that is known": b"seven",
    "empty": b"",
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("as_file", [False, True])
def test_what_pillow_cannot_read_is_to_be_saved_as_jpeg_or_png(tmp_path, kind, as_file):
    path = tmp_path / "photo.any"
    path.write_bytes(FOREIGN[kind])
    with path.open("rb") as file, pytest.raises(ValueError, match="save it as JPEG or PNG") as caught:
        decode.read_picture(file if as_file else path)
    sentence = str(caught.value)
    assert sentence.count(str(path)) == 1
    assert kind.split(" with ")[0].split(" of a ")[0] in sentence


def test_a_picture_of_too_many_pixels_is_to_be_saved_smaller(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    Image.new("L", (90, 90)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(ValueError, match=r"huge\.png is no picture .* more than 4,000 pixels; save it smaller"):
        decode.read_picture(path)


def test_a_tensor_of_bfloat16_is_read():
    image = torch.rand(1, 28, 28).bfloat16()
    assert (decode.read_picture(image) == image[0].float().numpy()).all()
    assert decode.full_size(image) == (28, 28)


def test_avif_is_read_or_named(tmp_path):
    path = tmp_path / "photo.avif"
    path.write_bytes(b"\0\0\0\x20ftypavif\0\0\0\0avifmif1" + bytes(64))
    with pytest.raises(ValueError, match=r"photo\.avif is no picture that can be read") as caught:
        decode.read_picture(path)
    assert str(caught.value).count(str(path)) == 1


def test_the_command_names_a_foreign_file_once(tmp_path, capsys, monkeypatch):
    path = tmp_path / "photo.heic"
    path.write_bytes(FOREIGN["HEIC"])
    monkeypatch.setattr("sys.argv", ["picture.py", str(path)])
    assert picture.main() == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.count(str(path)) == 1
    assert "it is HEIC; save it as JPEG or PNG" in line


# --- Open files ---


@pytest.mark.parametrize("suffix", ["png", "jpeg"])
def test_an_open_file_is_read_and_left_open(net, five, tmp_path, suffix):
    path = tmp_path / f"five.{suffix}"
    Image.fromarray(colours_of(five)).save(path)
    with path.open("rb") as file:
        assert int(picture.predict(net, file).argmax()) == 5
        assert not file.closed
    assert int(picture.predict(net, io.BytesIO(path.read_bytes())).argmax()) == 5


def test_a_file_open_as_text_is_refused(tmp_path):
    (tmp_path / "five.png").write_bytes(b"five")
    with (tmp_path / "five.png").open() as file, pytest.raises(ValueError, match="open it in binary mode"):
        decode.read_picture(file)


@pytest.mark.parametrize("content", [b"", b"seven"])
def test_an_open_file_without_a_picture_is_refused(content):
    with pytest.raises(ValueError, match="the open file is no picture that can be read"):
        decode.read_picture(io.BytesIO(content))


# --- Channels ---


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_three_channels_may_come_first(kind):
    last = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    first = np.ascontiguousarray(np.moveaxis(last, 2, 0))
    np.testing.assert_array_equal(decode.read_picture(kind(first)), decode.read_picture(kind(last)))
    np.testing.assert_array_equal(decode.read_picture(kind(first[None])), decode.read_picture(kind(last)))


def test_where_both_are_possible_channels_come_last():
    both = np.random.default_rng(0).integers(0, 256, (3, 50, 3), dtype=np.uint8)
    assert decode.read_picture(both).shape == (3, 50)


@pytest.mark.parametrize("shape", [(2, 28, 28), (4, 28, 28), (5, 28, 28)])
def test_what_may_be_a_batch_is_refused(shape):
    with pytest.raises(ValueError, match=r"it must be \[H, W\], .*\[3, H, W\]"):
        decode.read_picture(np.zeros(shape, np.uint8))
