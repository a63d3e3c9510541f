"""A picture of any kind → brightness: what files, PIL images, arrays and tensors have in common."""

import os
import warnings

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

LONGEST = 960  # pixels: of a larger picture no more is decoded or converted, which spares time and memory

# What phones and programs also call a picture: how such a file begins, from which byte on, and its name.
UNREAD = (
    (4, (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1"), "HEIC"),
    (4, (b"ftypavif", b"ftypavis"), "AVIF"),
    (0, (b"%PDF",), "PDF"),
    (0, (b"<svg", b"<?xml", b"\xef\xbb\xbf<"), "SVG or another text in XML"),
)


def read_picture(image):
    """Return the brightness of a picture, float32 [H, W] from 0, black, to 1, white. For `image` see `predict`."""
    if isinstance(image, str | os.PathLike) or hasattr(image, "read"):
        return brightness_of(open_picture(image))
    if isinstance(image, Image.Image):
        return brightness_of(ImageOps.exif_transpose(image))
    if not isinstance(image, np.ndarray | torch.Tensor):
        kinds = "a path, an open binary file, a PIL image, an array or a tensor"
        raise ValueError(f"image is a {type(image).__name__}; it must be {kinds}")
    return brightness_of_array(image)


def full_size(image):
    """Return width and height of a picture as it is to be shown, of which `read_picture` may have given less."""
    if isinstance(image, np.ndarray | torch.Tensor):
        return as_plane(image).shape[1::-1]
    if isinstance(image, Image.Image):
        return upright_size(image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(image) as opened:  # from its beginning, also where it is an open file
            return upright_size(opened)


def upright_size(picture):
    """Return width and height of a PIL image after it has been turned as its EXIF data says."""
    on_its_side = picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
    return picture.size[::-1] if on_its_side else picture.size


def open_picture(file):
    """Return the picture in `file`, a path or an open binary file, as a PIL image; a JPEG may come smaller.

    Raises ValueError where it is none, or damaged, and OSError where the file cannot be read.
    """
    name = getattr(file, "name", "the open file") if hasattr(file, "read") else file
    if hasattr(file, "read") and not isinstance(file.read(0), bytes):
        raise ValueError(f"{name} is open as text; open it in binary mode, 'rb'")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # large photographs are shrunk below
            opened = Image.open(file)
        with opened:
            needed = [max(1, LONGEST * side // max(opened.size)) for side in opened.size]
            opened.draft(None, needed)  # where the format allows it, JPEG, only so much is decoded
            opened.load()
            ImageOps.exif_transpose(opened, in_place=True)  # phones store how they were held, not the picture turned
            return opened
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if getattr(error, "filename", None) is not None:  # from opening it; what Pillow raises names no file
            raise
        reason = error
        if isinstance(error, UnidentifiedImageError):
            reason = f"it is {kind_of(file)}; save it as JPEG or PNG"
        if isinstance(error, Image.DecompressionBombError):
            reason = f"it has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels; save it smaller"
        raise ValueError(f"{name} is no picture that can be read: {reason}") from error


def kind_of(file):
    """Return what `file`, a path or an open binary file that Pillow does not know, seems to hold."""
    if hasattr(file, "read"):
        file.seek(0)
        start = file.read(32)
    else:
        with open(file, "rb") as opened:  # noqa: PTH123, since a path may be text, too
            start = opened.read(32)
    if not start:
        return "empty"
    return next((kind for at, begins, kind in UNREAD if start[at:].startswith(begins)), "of no format that is known")


def as_plane(image):
    """Return `image`, an array or a tensor, as an array [H, W] or [H, W, 2 to 4].

    Raises ValueError where its shape is that of no picture.
    """
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
        shapes = "[H, W], [1, H, W], [1, 1, H, W], [3, H, W] or [H, W, 1 to 4]"
        raise ValueError(f"image has the shape {list(array.shape)}; it must be {shapes}")
    return array


def brightness_of_array(image):
    """Return the brightness of an array or a tensor, float32 [H, W]. Raises ValueError where it is no picture."""
    array = as_plane(image)
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
    return brightness_of(Image.fromarray(array))


def brightness_of(picture):
    """Return the brightness of a PIL image, float32 [H, W], laid on paper where it is transparent."""
    if min(picture.size) == 0:
        raise ValueError(f"image is {picture.width}×{picture.height} pixels; there is nothing in it")
    picture = reduce(picture)
    if picture.mode.startswith(("I", "F")):  # 16 bits and more
        values = np.asarray(picture, dtype=np.float64)
        low, high = values.min(), values.max()
        if not (np.isfinite(values).all() and low >= 0):
            raise ValueError(f"image has values from {low} to {high}; they must be 0 or more, and finite")
        white = next((white for white in (1, 255, 65535) if high <= white), high)
        return (values / white).astype(np.float32)
    if picture.mode == "LAB":
        picture = picture.getchannel("L")
    if not picture.has_transparency_data:
        return clearest(picture)
    picture = picture.convert("RGBA")
    brightness = np.asarray(picture.convert("L"), dtype=np.float32) / 255
    opacity = np.asarray(picture.getchannel("A"), dtype=np.float32) / 255
    visible = (brightness * opacity).sum() / max(opacity.sum(), 1)
    paper = 1 if visible < 0.5 else 0  # what shows through is not of the ink's own colour
    return brightness * opacity + paper * (1 - opacity)


def reduce(picture):
    """Return a PIL image with the longer side at most twice `LONGEST`, each pixel the mean of those it stands for."""
    times = max(picture.size) // LONGEST
    if times < 2:
        return picture
    if picture.mode in {"1", "P", "PA"}:
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    if picture.mode.startswith("I;16"):
        picture = picture.convert("I")
    return picture.reduce(times)


def clearest(picture):
    """Return the brightness of an opaque PIL image, or its red, green or blue where that varies by half as much again.

    Red on green may be as bright as the green is.
    """
    brightness, *colours = (
        np.asarray(part, dtype=np.float32) / 255 for part in (picture.convert("L"), *picture.convert("RGB").split())
    )
    best = max(colours, key=np.std)
    return best if best.std() > 1.5 * brightness.std() else brightness
