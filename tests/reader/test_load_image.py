"""Files, PIL images, arrays and tensors → brightness."""

import io
import os
import struct
import warnings

import numpy as np
import pytest
import torch
from drawings import read
from PIL import Image

from reader.load_image import LONGEST, decode, load_image, load_image_and_size


def photo_of(ink):
    return Image.fromarray(np.uint8(255 - 200 * np.repeat(ink[..., None], 3, axis=-1)))


def encode(image, suffix="png", **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def test_decode_shrinks_a_large_jpeg(net, five, tmp_path, monkeypatch):
    path, size = tmp_path / "large.jpg", (4032, 6048)
    photo_of(five).convert("L").resize(size).save(path, quality=75)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000_000)  # Pillow warns above it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image, full_size = decode(path)
    assert LONGEST <= max(image.size) < 2 * LONGEST
    assert full_size == size
    assert read(net, path) == 5


# --- Files that are not pictures, or damaged ---

FOREIGN = {
    "HEIC": b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(64),
    "PDF": b"%PDF-1.7\n" + bytes(64),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>',
    "of an unknown format": b"seven",
    "empty": b"",
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("as_file", [False, True])
def test_load_image_names_the_format_that_it_cannot_read(tmp_path, kind, as_file):
    path = tmp_path / "photo.any"
    path.write_bytes(FOREIGN[kind])
    with path.open("rb") as file, pytest.raises(ValueError, match=f"{kind}.*; save it as JPEG or PNG") as caught:
        load_image(file if as_file else path)
    assert str(caught.value).count(str(path)) == 1


@pytest.mark.parametrize("is_cut_off", [True, False])
def test_load_image_reports_a_damaged_picture_as_value_error(tmp_path, is_cut_off):
    path, png = tmp_path / "bad.png", encode(Image.effect_noise((60, 60), 50))
    path.write_bytes(png[:400] if is_cut_off else png[:41] + b"xxxx" + png[45:])
    with pytest.raises(ValueError, match=r"bad\.png is not a readable picture"):
        load_image(path)
    with pytest.raises(ValueError, match="image is not a readable picture"):
        load_image(Image.open(path))


def test_load_image_refuses_too_many_pixels(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    Image.new("L", (90, 90)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(ValueError, match=r"huge\.png .* more than 4,000 pixels; save it smaller"):
        load_image(path)


# --- EXIF ---


def jpeg_with_exif(image, tags):
    """Return a JPEG with an EXIF block made by hand: `tags` is a list of (tag, type, count, value as 4 bytes)."""
    entries = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in tags)
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    return encode(image, "jpeg", quality=95, exif=b"Exif\0\0" + tiff)


ORIENTATION, WIDTH, RESOLUTION, SHORT, TEXT = 0x0112, 0x0100, 0x011A, 3, 2
TURNED = (ORIENTATION, SHORT, 1, b"\6\0\0\0")
EXIF = {
    "turned right": ([TURNED], True),
    "tags of a type that Pillow cannot write back": (
        [(WIDTH, TEXT, 4, b"abc\0"), TURNED, (RESOLUTION, SHORT, 1, b"\1\0\0\0")],
        True,
    ),
    "unknown orientation": ([(ORIENTATION, SHORT, 1, b"\x09\0\0\0")], False),
    "orientation as text": ([(ORIENTATION, TEXT, 2, b"6\0\0\0")], False),
}


@pytest.mark.parametrize("case", EXIF)
def test_load_image_turns_a_picture_as_exif_says(net, five, case):
    tags, is_turned = EXIF[case]
    photo = photo_of(five)
    content = jpeg_with_exif(photo.rotate(90, expand=True) if is_turned else photo, tags)
    for image in (io.BytesIO(content), Image.open(io.BytesIO(content))):
        brightness, size = load_image_and_size(image)
        assert brightness.shape == size[::-1] == (140, 100)
        assert read(net, image) == 5


# --- Open files ---


def test_read_digit_reads_an_open_file_and_leaves_it_open(net, five, tmp_path):
    path = tmp_path / "five.png"
    photo_of(five).save(path)
    with path.open("rb") as file:
        assert read(net, file) == read(net, file) == 5


def test_load_image_reads_a_pipe(five):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(encode(photo_of(five), "jpeg"))
    with os.fdopen(reading, "rb") as pipe:
        assert load_image_and_size(pipe)[1] == (100, 140)


def test_load_image_refuses_a_file_open_as_text(tmp_path):
    (tmp_path / "five.png").write_bytes(b"five")
    with (tmp_path / "five.png").open() as file, pytest.raises(ValueError, match="open it in binary mode"):
        load_image(file)


# --- Arrays ---


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_load_image_accepts_channels_first_and_last(kind):
    last = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    first = np.ascontiguousarray(np.moveaxis(last, 2, 0))
    np.testing.assert_array_equal(load_image(kind(first)), load_image(kind(last)))
    np.testing.assert_array_equal(load_image(kind(first[None])), load_image(kind(last)))
