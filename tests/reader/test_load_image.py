"""Files, PIL images, arrays and tensors → brightness."""

import errno
import http.client
import io
import os
import socket
import struct
import threading
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, features

from model import load_net
from reader import predict
from reader.load_image import LONGEST, decode, load_image, load_image_and_size


def photo_of(ink):
    return Image.fromarray(np.uint8(255 - 200 * np.repeat(ink[..., None], 3, axis=-1)))


def encode(image, suffix="png", **options):
    file = io.BytesIO()
    image.save(file, suffix, **options)
    return file.getvalue()


# --- Large pictures ---


def test_decode_shrinks_a_large_jpeg(net, five, tmp_path, monkeypatch):
    path, size = tmp_path / "large.jpg", (4032, 6048)
    photo_of(five).convert("L").resize(size).save(path, quality=75)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20_000_000)  # Pillow warns above it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image, full_size = decode(path)
    assert LONGEST <= max(image.size) < 2 * LONGEST
    assert full_size == size
    assert int(predict(net, path).argmax()) == 5


@pytest.mark.parametrize("mode", ["1", "P", "RGB", "LA", "I", "F", "I;16"])
def test_load_image_shrinks_large_pictures_of_any_mode(net, five, mode):
    grey = Image.fromarray(np.uint8(255 * (1 - five))).resize((2000, 2800))
    large = Image.fromarray(257 * np.asarray(grey, dtype=np.uint16)) if mode == "I;16" else grey.convert(mode)
    assert max(load_image(large).shape) <= 2 * LONGEST
    assert int(predict(net, large).argmax()) == 5


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


def damaged():
    """Yield (name, content) of damaged files: cut off, a byte changed, or with the wrong header."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8))
    png = encode(noise.convert("L"))
    yield "PNG, cut off", png[:400]
    yield "PNG, damaged", png[:41] + b"xxxx" + png[45:]
    dds = encode(noise, "dds")
    yield "DDS, unknown pixel format", dds[:80] + struct.pack("<I", 0x4) + b"ABCD" + dds[88:]
    for suffix in ("jpeg2000", "tiff", "gif", "bmp", "ppm"):
        content = encode(noise, suffix)
        yield f"{suffix}, cut off", content[: len(content) // 3]


@pytest.mark.parametrize(("name", "content"), [pytest.param(*each, id=each[0]) for each in damaged()])
def test_load_image_reports_damaged_files_as_value_error(tmp_path, name, content):
    path = tmp_path / "bad.png"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.png is not a readable picture"):
        load_image(path)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
def test_load_image_reports_a_damaged_avif_as_value_error(five):
    content, n_refused = encode(photo_of(five), "avif"), 0
    for i in range(0, 300, 4):
        damaged = content[:i] + bytes([content[i] ^ 255]) + content[i + 1 :]
        try:
            load_image(io.BytesIO(damaged))
        except ValueError:
            n_refused += 1
    assert n_refused > 10


def test_load_image_reports_a_damaged_pil_image_as_value_error():
    cut_off = Image.open(io.BytesIO(encode(Image.effect_noise((60, 60), 50))[:400]))
    with pytest.raises(ValueError, match="image is not a readable picture"):
        load_image(cut_off)


def test_load_image_refuses_too_many_pixels(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    Image.new("L", (90, 90)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 2000)
    with pytest.raises(ValueError, match=r"huge\.png .* more than 4,000 pixels; save it smaller"):
        load_image(path)


@pytest.mark.parametrize("load", [load_net, load_image])
def test_loading_names_a_file_that_may_not_be_read(tmp_path, monkeypatch, load):
    path = tmp_path / "forbidden"
    path.write_bytes(b"content")

    def refuse(file, *_, **__):  # file permissions do not stop root
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    monkeypatch.setattr("io.open", refuse)
    with pytest.raises(PermissionError) as caught:
        load(path)
    assert caught.value.filename == str(path)


# --- EXIF ---


def jpeg_with_exif(image, tags):
    """Return a JPEG with an EXIF block made by hand: `tags` is a list of (tag, type, count, value as 4 bytes)."""
    entries = b"".join(struct.pack("<HHI", tag, kind, count) + value for tag, kind, count, value in tags)
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)
    return encode(image, "jpeg", quality=95, exif=b"Exif\0\0" + tiff)


SHORT = 3
ORIENTATION, WIDTH = 0x0112, 0x0100


@pytest.mark.parametrize("as_pil", [False, True])
def test_load_image_turns_a_picture_as_exif_says(net, five, as_pil):
    content = jpeg_with_exif(photo_of(five).rotate(90, expand=True), [(ORIENTATION, SHORT, 1, b"\6\0\0\0")])
    image = Image.open(io.BytesIO(content)) if as_pil else io.BytesIO(content)
    brightness, size = load_image_and_size(image)
    assert brightness.shape == (140, 100)
    assert size == (100, 140)
    assert int(predict(net, image).argmax()) == 5


def test_load_image_ignores_other_exif_tags(five):
    """Pillow cannot write a tag back whose type is not the expected one."""
    odd = [(WIDTH, 2, 4, b"abc\0"), (ORIENTATION, SHORT, 1, b"\6\0\0\0"), (0x011A, SHORT, 1, b"\1\0\0\0")]
    content = jpeg_with_exif(photo_of(five).rotate(90, expand=True), odd)
    assert load_image(io.BytesIO(content)).shape == (140, 100)


@pytest.mark.parametrize("entry", [(ORIENTATION, SHORT, 1, b"\x09\0\0\0"), (ORIENTATION, 2, 2, b"6\0\0\0")])
def test_load_image_ignores_an_invalid_orientation(five, entry):
    brightness, size = load_image_and_size(io.BytesIO(jpeg_with_exif(photo_of(five), [entry])))
    assert brightness.shape == size[::-1] == (140, 100)


# --- Open files ---


@pytest.mark.parametrize("suffix", ["png", "jpeg"])
def test_predict_reads_an_open_file_and_leaves_it_open(net, five, tmp_path, suffix):
    path = tmp_path / f"five.{suffix}"
    photo_of(five).save(path)
    with path.open("rb") as file:
        assert int(predict(net, file).argmax()) == int(predict(net, file).argmax()) == 5


def test_load_image_reads_a_pipe(five):
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as file:
        file.write(encode(photo_of(five), "jpeg"))
    with os.fdopen(reading, "rb") as pipe:
        assert load_image_and_size(pipe)[1] == (100, 140)


def test_load_image_refuses_a_pipe_without_a_picture():
    reading, writing = os.pipe()
    os.write(writing, b"seven")
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(ValueError, match="is not a readable picture"):
        load_image(pipe)


def test_load_image_reads_an_http_response(five):
    content = encode(photo_of(five))
    client, server = socket.socketpair()
    with client, server:
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode()
        threading.Thread(target=server.sendall, args=(head + content,)).start()
        response = http.client.HTTPResponse(client)
        response.begin()
        assert load_image_and_size(response)[1] == (100, 140)


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


@pytest.mark.parametrize("shape", [(2, 28, 28), (4, 28, 28), (5, 28, 28)])
def test_load_image_refuses_what_may_be_a_batch(shape):
    with pytest.raises(ValueError, match=r"it must be \[H, W\], .*\[3, H, W\]"):
        load_image(np.zeros(shape, np.uint8))


def test_load_image_accepts_bfloat16():
    image = torch.rand(1, 28, 28).bfloat16()
    np.testing.assert_array_equal(load_image(image), image[0].float().numpy())
