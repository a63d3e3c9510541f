"""Files, PIL images, arrays and tensors → brightness."""

import io
import os
import struct

import numpy as np
import pytest
from drawings import as_image
from PIL import Image

from reader.load_image import LOADED_SIDE, decode, load_image, load_image_and_size


def encode(image, suffix="png", **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


def test_a_large_jpeg_is_decoded_at_a_smaller_size_without_a_warning(monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000_000)  # Pillow warns above it
    image, full_size = decode(io.BytesIO(encode(Image.new("L", (4032, 6048)), "jpeg")))
    assert LOADED_SIDE <= max(image.size) < 2 * LOADED_SIDE
    assert (full_size, len(recwarn)) == ((4032, 6048), 0)


NOISE = encode(Image.effect_noise((60, 60), 50))
BAD = {
    "HEIC": (b"\0\0\0\x24ftypheic\0\0\0\0mif1heic" + bytes(64), "HEIC.*; save it as JPEG or PNG"),
    "empty": (b"", "it is empty"),
    "damaged": (NOISE[:41] + b"xxxx" + NOISE[45:], "is not a readable picture"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_unreadable_file_is_named_with_the_reason(tmp_path, case):
    content, words = BAD[case]
    path = tmp_path / "photo.any"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        load_image(path)
    assert str(caught.value).count(str(path)) == 1


def test_a_picture_is_rotated_as_exif_says(five):
    """Also if another tag is one that Pillow cannot write back: here a width that is text."""
    width, orientation = struct.pack("<HHI", 0x0100, 2, 4) + b"abc\0", struct.pack("<HHI", 0x0112, 3, 1) + b"\6\0\0\0"
    exif = b"Exif\0\0II*\0\x08\0\0\0\2\0" + width + orientation + bytes(4)
    content = encode(as_image(five).rotate(90, expand=True), "jpeg", quality=95, exif=exif)
    for picture in (io.BytesIO(content), Image.open(io.BytesIO(content))):
        brightness, size = load_image_and_size(picture)
        assert brightness.shape == size[::-1] == (140, 100)
        np.testing.assert_allclose(brightness, 1 - five, atol=0.2)  # JPEG blurs the strokes


def test_an_open_file_is_read_from_its_start_and_a_pipe_from_where_it_is(five, tmp_path):
    path = tmp_path / "five.png"
    as_image(five).save(path)
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_image(file), load_image(file))
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(path.read_bytes())
    with os.fdopen(reading, "rb") as pipe:
        np.testing.assert_array_equal(load_image(pipe), load_image(path))


def test_a_path_may_start_with_the_home_folder(five, tmp_path, monkeypatch):
    monkeypatch.setenv("USERPROFILE" if os.name == "nt" else "HOME", str(tmp_path))
    as_image(five).save(tmp_path / "five.png")
    assert load_image("~/five.png").shape == (140, 100)
