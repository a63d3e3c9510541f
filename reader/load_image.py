"""Load a picture from a file, PIL image, array or tensor as brightness."""

import contextlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError

LOADED_SIDE = 960  # pixels: a picture whose longer side has at least twice as many is shrunk as it is loaded

# What turns the picture upright, for the EXIF orientations from 2 to 8; 1 is upright.
TRANSPOSE = ["FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_270", "TRANSVERSE", "ROTATE_90"]


def load_image(picture):
    """Return the brightness of a picture, float32 [H, W] from 0, black, to 1, white. For `picture` see `read_digit`."""
    return load_image_and_size(picture)[0]


def load_image_and_size(picture):
    """Return the brightness of a picture and its full (width, height); a large picture's brightness is smaller."""
    if isinstance(picture, np.ndarray | torch.Tensor):
        image = image_of_array(picture)
        size = image.size
    elif isinstance(picture, str | os.PathLike) or hasattr(picture, "read"):
        image, size = decode(picture)
    elif isinstance(picture, Image.Image):
        with readable("picture"):
            image, size = turn_upright(picture, picture.size)
    else:
        expected = "a path, an open binary file, a PIL image, an array or a tensor"
        raise ValueError(f"picture is of type {type(picture).__name__}; it must be {expected}")
    return brightness_of(image), size


def decode(file):
    """Return the picture in `file`, a path or an open binary file, as an upright PIL image, and its full size.

    The size is (width, height); the PIL image of a large JPEG is smaller. Raises ValueError if the file is damaged or
    not a picture, and OSError if it cannot be read.
    """
    if hasattr(file, "read"):
        with contextlib.suppress(AttributeError, OSError):
            file.seek(0)  # a pipe cannot, and is read from where it is
        name, content = getattr(file, "name", "the open file"), file.read()
    else:
        name, content = file, Path(os.path.expanduser(file)).read_bytes()  # noqa: PTH111, `~x` is a file if no user is called x
    with readable(name), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large photographs are shrunk below
        image = Image.open(io.BytesIO(content))
        size = image.size
        # A JPEG is decoded at this size or up to twice as large, which saves time and memory.
        image.draft(None, [max(1, LOADED_SIDE * side // max(size)) for side in size])
        return turn_upright(image, size)


@contextlib.contextmanager
def readable(name):
    """Raise any error within this context, of which Pillow has many types, as a ValueError that names the picture."""
    try:
        yield
    except Exception as error:
        reason = error
        if isinstance(error, UnidentifiedImageError):
            reason = "it is empty, or of a format such as HEIC, PDF or SVG; save it as JPEG or PNG"
        raise ValueError(f"{name} is not a readable picture: {reason}") from error


def turn_upright(image, size):
    """Rotate a PIL image, and its `size`, (width, height), as its EXIF orientation says; return both."""
    image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # damaged EXIF data is no reason to refuse the pixels
        orientation = None
    if orientation not in range(2, 9):
        return image, size
    method = Image.Transpose[TRANSPOSE[orientation - 2]]
    return image.transpose(method), size[::-1] if orientation >= 5 else size


def image_of_array(array):
    """Return an array or tensor as a PIL image. Raises ValueError if its shape, type or values do not fit."""
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    shape = list(array.shape)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[2] not in {2, 3, 4}:
        array = np.moveaxis(array, 0, 2)
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {2, 3, 4})):
        expected = "[H, W], [1, H, W], [1, 1, H, W], [3, H, W] or [H, W, 1 to 4]"
        raise ValueError(f"picture has the shape {shape}; it must be {expected}")
    if array.dtype.kind == "f":
        if not (array.min() >= 0 and array.max() <= 1):
            raise ValueError(f"picture has floats from {array.min()} to {array.max()}; they must be from 0 to 1")
        array = array.astype(np.float32)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:
        raise ValueError(f"picture has the dtype {array.dtype}; it must be bool, uint8, uint16 or a float")
    if array.ndim == 3 and array.dtype != np.uint8:  # Pillow has no colours of more than 8 bits
        array = np.rint(255 * (array / white_of(array))).astype(np.uint8)
    return Image.fromarray(array)


def brightness_of(image):
    """Return the brightness of a PIL image, float32 [H, W]; its longer side has less than twice `LOADED_SIDE` pixels.

    A transparent one is placed on contrasting paper.
    """
    if min(image.size) == 0:
        raise ValueError(f"picture has {image.width}×{image.height} pixels; it must have at least one")
    is_deep = image.mode.startswith(("I", "F"))  # more than 8 bits
    mode = "F" if is_deep else "RGBA" if image.has_transparency_data else "L" if image.mode in {"1", "L"} else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    image = image.reduce(max(1, max(image.size) // LOADED_SIDE))  # each pixel is the mean of its area
    if is_deep:
        return np.asarray(image) / white_of(np.asarray(image))
    return brightness_over_paper(image) if mode == "RGBA" else best_channel(image)


def white_of(values):
    """Return the value of white in an array of numbers: the largest of its bit depth, or else the maximum."""
    low, high = values.min(), values.max()
    if not (low >= 0 and np.isfinite(high)):
        raise ValueError(f"picture has values from {low} to {high}; they must be finite, and 0 or more")
    return np.float32(next((white for white in (1, 255, 1023, 4095, 16383, 65535) if high <= white), high))


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
