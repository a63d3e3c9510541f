"""Load a picture from a file, PIL image, array or tensor as brightness."""

import contextlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError

LONGEST = 960  # pixels: larger pictures are shrunk to less than twice this size as they are loaded

# File formats that Pillow does not know or may lack: offset, first bytes, name.
SIGNATURES = (
    (4, (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1"), "HEIC"),
    (4, (b"ftypavif", b"ftypavis"), "AVIF"),
    (0, (b"%PDF",), "PDF"),
    (0, (b"<svg", b"<?xml", b"\xef\xbb\xbf<"), "SVG or another XML format"),
)

# EXIF orientation → what turns the picture upright; 1 is upright.
TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load_image(image):
    """Return the brightness of a picture, float32 [H, W] from 0, black, to 1, white. For `image` see `read_digit`."""
    return load_image_and_size(image)[0]


def load_image_and_size(image):
    """Return the brightness of a picture and its full (width, height); a large picture's brightness is smaller."""
    if isinstance(image, np.ndarray | torch.Tensor):
        array = to_hwc(image)
        return brightness_of_array(array), array.shape[1::-1]
    if isinstance(image, str | os.PathLike) or hasattr(image, "read"):
        image, size = decode(image)
    elif isinstance(image, Image.Image):
        with readable("image"):
            image, size = turn_upright(image, image.size)
    else:
        expected = "a path, an open binary file, a PIL image, an array or a tensor"
        raise ValueError(f"image is a {type(image).__name__}; it must be {expected}")
    return brightness_of_image(image), size


# --- Files and PIL images --------------------------------------------------------------------------------------------


def decode(file):
    """Return the picture in `file`, a path or an open binary file, as an upright PIL image, and its full size.

    The size is (width, height); the PIL image of a large JPEG is smaller. Raises ValueError if the file is damaged or
    not a picture, and OSError if it cannot be read.
    """
    if hasattr(file, "read"):
        name, content = getattr(file, "name", "the open file"), read_stream(file)
    else:
        name, content = file, Path(file).read_bytes()
    with readable(name, content), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large photographs are shrunk below
        image = Image.open(io.BytesIO(content))
        size = image.size
        # A JPEG is decoded at this size or up to twice as large, which saves time and memory.
        image.draft(None, [max(1, LONGEST * side // max(size)) for side in size])
        return turn_upright(image, size)


def read_stream(file):
    """Return the content of an open binary file; one that cannot seek, such as a pipe, is read from where it is."""
    with contextlib.suppress(AttributeError, OSError):
        file.seek(0)
    content = file.read()
    if not isinstance(content, bytes):
        raise ValueError(f"{getattr(file, 'name', 'the open file')} is open as text; open it in binary mode, 'rb'")
    return content


@contextlib.contextmanager
def readable(name, content=b""):
    """Raise any error within this context as a ValueError that says why `name`, with this `content`, is unreadable.

    Pillow raises errors of many types on damaged files.
    """
    try:
        yield
    except Exception as error:
        reason = error
        if isinstance(error, UnidentifiedImageError):
            reason = f"it is {format_of(content)}; save it as JPEG or PNG"
        if isinstance(error, Image.DecompressionBombError):
            reason = f"it has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels; save it smaller"
        raise ValueError(f"{name} is not a readable picture: {reason}") from error


def format_of(content):
    """Return what the bytes `content`, which Pillow cannot identify, seem to be."""
    if not content:
        return "empty"
    known = (name for offset, starts, name in SIGNATURES if content[offset:].startswith(starts))
    return next(known, "of an unknown format")


def turn_upright(image, size):
    """Turn a PIL image as its EXIF orientation says, and its `size`, (width, height), too; return both."""
    image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged EXIF data is no reason to refuse the pixels
        orientation = None
    if orientation not in TRANSPOSE:
        return image, size
    return image.transpose(TRANSPOSE[orientation]), size[::-1] if orientation >= 5 else size


def brightness_of_image(image):
    """Return the brightness of a PIL image, float32 [H, W]; a transparent one is placed on contrasting paper."""
    if min(image.size) == 0:
        raise ValueError(f"image has {image.width}×{image.height} pixels; it must have at least one")
    image = reduce(image)
    if image.mode.startswith(("I", "F")):
        return brightness_of_high_depth(np.asarray(image, dtype=np.float64))
    if image.has_transparency_data:
        return brightness_over_paper(image.convert("RGBA"))
    return best_channel(image.getchannel("L") if image.mode == "LAB" else image)


def reduce(image):
    """Shrink a PIL image until its longer side is less than twice `LONGEST`, each pixel the mean of its area."""
    factor = max(image.size) // LONGEST
    if factor < 2:
        return image
    if image.mode in {"1", "P", "PA"}:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    return image.reduce(factor)


def brightness_of_high_depth(values):
    """Return the brightness of `values` [H, W] of 16 or 32 bits; white is 1, 255 or 65535, or else the maximum."""
    low, high = values.min(), values.max()
    if not (np.isfinite(values).all() and low >= 0):
        raise ValueError(f"image has values from {low} to {high}; they must be finite, and 0 or more")
    white = next((white for white in (1, 255, 65535) if high <= white), high)
    return (values / white).astype(np.float32)


def brightness_over_paper(image):
    """Return the brightness of an RGBA image on white paper, or on black if what is visible is bright."""
    brightness = np.asarray(image.convert("L"), dtype=np.float32) / 255
    opacity = np.asarray(image.getchannel("A"), dtype=np.float32) / 255
    visible = (brightness * opacity).sum() / max(opacity.sum(), 1)
    paper = 1 if visible < 0.5 else 0
    return brightness * opacity + paper * (1 - opacity)


def best_channel(image):
    """Return the brightness of an opaque PIL image, or its red, green or blue if that has 1.5 times the contrast.

    Red on green, for instance, may have no contrast in brightness.
    """
    channels = image.convert("L"), *image.convert("RGB").split()
    brightness, *colours = (np.asarray(channel, dtype=np.float32) / 255 for channel in channels)
    best = max(colours, key=np.std)
    return best if best.std() > 1.5 * brightness.std() else brightness


# --- Arrays and tensors ----------------------------------------------------------------------------------------------


def to_hwc(image):
    """Return an array or tensor as an array [H, W] or [H, W, 2 to 4]. Raises ValueError if its shape does not fit."""
    array = image
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        array = (image.float() if image.dtype == torch.bfloat16 else image).numpy()  # numpy has no bfloat16
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] not in {2, 3, 4}:
        array = np.moveaxis(array, 0, 2)
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {2, 3, 4})
    if not fits or array.size == 0:
        expected = "[H, W], [1, H, W], [1, 1, H, W], [3, H, W] or [H, W, 1 to 4]"
        raise ValueError(f"image has the shape {list(array.shape)}; it must be {expected}")
    return array


def brightness_of_array(array):
    """Return the brightness of an array from `to_hwc`, float32 [H, W]. Raises ValueError if its values do not fit."""
    if array.dtype == np.uint16:
        array = array / np.float64(65535)
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise ValueError(f"image has floats from {array.min()} to {array.max()}; they must be from 0 to 1")
        if array.ndim == 2:
            return array.astype(np.float32)
        array = np.rint(255 * array).astype(np.uint8)
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    if array.dtype != np.uint8:
        raise ValueError(f"image has the dtype {array.dtype}; it must be bool, uint8, uint16 or a float")
    return brightness_of_image(Image.fromarray(array))
