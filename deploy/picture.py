"""Read the digit in a picture of any kind: `python -m deploy.picture photo.jpg`

A picture is brought into the form that MNIST's digits have, in three steps: `read_picture` turns it into brightness,
`find_ink` into ink on nothing, and `center_ink` into 28×28 as LeCun et al. describe ("Gradient-based learning applied
to document recognition", 1998, section III.A): scaled into a box of 20×20, its centre of mass in the middle.
"""

import argparse
import os
import sys

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage

import utils
from deploy import load_net

LONGEST = 320  # pixels: larger pictures are shrunk first, since nothing smaller than a stroke matters
FAINTEST = 0.08  # of the way from black to white: ink that stands out less is no ink


def predict(model, image):
    """Return the probabilities of the ten digits for one picture, float32 [10] on the CPU.

    `image` is a path, a PIL image, or an array or tensor: bool, uint8, uint16, or float from 0 to 1, as [H, W],
    [1, H, W], [1, 1, H, W] or [H, W, 1 to 4]. Any size, colour, transparency, dark on light or light on dark, with some
    shadow and grain; but the paper is to fill the picture, and what is on it is read as one digit, whatever it is.
    Raises ValueError where it is no picture or there is nothing in it, and OSError where the file cannot be read.
    """
    pixels = center_ink(find_ink(read_picture(image)))
    device = next(model.parameters()).device
    return utils.compute_logits(model, pixels.to(device)).softmax(dim=1)[0].cpu()


# --- A picture → brightness ------------------------------------------------------------------------------------------


def read_picture(image):
    """Return the brightness of a picture, float32 [H, W] from 0, black, to 1, white. For `image` see `predict`."""
    if isinstance(image, str | os.PathLike):
        return brightness_of(open_picture(image))
    if isinstance(image, Image.Image):
        return brightness_of(ImageOps.exif_transpose(image))
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu().numpy()
    if not isinstance(image, np.ndarray):
        raise ValueError(f"image is a {type(image).__name__}; it must be a path, a PIL image, an array or a tensor")
    return brightness_of_array(image)


def open_picture(path):
    """Return the picture in the file `path` as a PIL image.

    Raises ValueError where it is none, or damaged, and OSError where the file cannot be read.
    """
    try:
        with Image.open(path) as opened:
            return ImageOps.exif_transpose(opened)  # phones store how they were held, and not the picture turned
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if getattr(error, "filename", None) is not None:  # from opening it; what Pillow raises names no file
            raise
        raise ValueError(f"{path} is no picture that can be read: {error}") from error


def brightness_of_array(array):
    """Return the brightness of `array`, float32 [H, W]. Raises ValueError where it is no picture."""
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in {2, 3, 4})
    if not fits or array.size == 0:
        shapes = "[H, W], [1, H, W], [1, 1, H, W] or [H, W, 1 to 4]"
        raise ValueError(f"image has the shape {list(array.shape)}; it must be {shapes}")
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


def clearest(picture):
    """Return the brightness of an opaque PIL image, or its red, green or blue where that varies by half as much again.

    Red on green may be as bright as the green is.
    """
    brightness, *colours = (
        np.asarray(part, dtype=np.float32) / 255 for part in (picture.convert("L"), *picture.convert("RGB").split())
    )
    best = max(colours, key=np.std)
    return best if best.std() > 1.5 * brightness.std() else brightness


# --- Brightness → ink ------------------------------------------------------------------------------------------------


def find_ink(brightness):
    """Return how much ink is on each pixel, float32 [H, W] from 0 to 1, whatever its colour and that of the paper.

    `brightness` is float32 [H, W] from 0 to 1. Shadows, noise and specks are taken away. Raises ValueError where
    nothing stands out.
    """
    brightness = shrink(brightness)
    edge = np.concatenate([brightness[0], brightness[-1], brightness[:, 0], brightness[:, -1]])
    paper = np.median(edge)
    ink = 1 - brightness if paper - brightness.min() > brightness.max() - paper else brightness
    # The paper, shadows and all, is what is left of a picture when all that is narrower than half of it is gone.
    size = max(3, max(ink.shape) // 2)
    ink = ink - ndimage.grey_opening(ink, size=[min(size, side) for side in ink.shape], mode="nearest")
    nothing = ValueError("there is nothing in the image: no ink stands out from the paper")
    if ink.max() < FAINTEST:
        raise nothing
    threshold = split_in_two(ink)
    rest = ink[ink <= threshold]
    noise = 1.4826 * np.median(np.abs(rest - np.median(rest)))  # a standard deviation, whatever the outliers
    floor = np.median(rest) + 3 * noise
    full = np.median(ink[ink > threshold])
    if full - floor < FAINTEST:
        raise nothing
    return without_specks(np.clip((ink - floor) / (full - floor), 0, 1))


def shrink(brightness):
    """Return `brightness` with its longer side at most `LONGEST` pixels, each the mean of what it covers."""
    height, width = brightness.shape
    scale = LONGEST / max(height, width)
    if scale >= 1:
        return brightness
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(brightness).resize(size, Image.Resampling.BOX))


def split_in_two(values):
    """Return the threshold that splits `values` best: the largest variance between the parts (Otsu, 1979)."""
    counts, edges = np.histogram(values, bins=256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)[:-1]
    above = values.size - below
    sums = np.cumsum(counts * centres)
    means = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return edges[1:-1][np.argmax(below * above * (means[0] - means[1]) ** 2)]


def without_specks(ink):
    """Return `ink` without what is smaller than a fiftieth of its largest piece, and without what is near no piece.

    Pieces that touch the edge, such as a scan's dark corners, go too where there is something else to read.
    """
    pieces, n = ndimage.label(ink > 0.5, structure=np.ones((3, 3)))
    areas = ndimage.sum_labels(np.ones_like(ink), pieces, index=range(1, n + 1))
    edge = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
    inside = ~np.isin(range(1, n + 1), edge)
    if inside.any() and areas[inside].max() > areas.max() / 3:
        areas = areas * inside
    large = 1 + np.flatnonzero(areas >= areas.max() / 50)
    return ink * ndimage.binary_dilation(np.isin(pieces, large), iterations=2)


# --- Ink → 28×28 -----------------------------------------------------------------------------------------------------


def center_ink(ink):
    """Return `ink` [H, W] as MNIST has its digits: uint8 [1, 1, 28, 28]. deploy/draw.html does the same."""
    rows, columns = (np.flatnonzero((ink > 0.1).any(axis=axis)) for axis in (1, 0))
    cropped = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, int(20 * side / max(cropped.shape) + 0.5)) for side in cropped.shape)
    box = shares(cropped.shape[0], height) @ cropped @ shares(cropped.shape[1], width).T
    top, left = (place(box.sum(axis=axis)) for axis in (1, 0))
    image = np.zeros((28, 28))
    image[top : top + height, left : left + width] = box / box.max()
    return torch.from_numpy(np.rint(255 * image).astype(np.uint8))[None, None]


def shares(n, into):
    """Return how much of each of `n` pixels goes into each of `into`, [into, n], so that each is a mean by area."""
    starts = np.arange(into)[:, None] * n / into
    covered = np.minimum(starts + n / into, np.arange(n) + 1) - np.maximum(starts, np.arange(n))
    return np.maximum(covered, 0) * into / n


def place(mass):
    """Return where `mass`, one row of sums, has to begin so that its centre comes to lie on pixel 14 of 28."""
    centre = (mass * np.arange(len(mass))).sum() / mass.sum()
    return int(np.clip(np.floor(14 - centre + 0.5), 0, 28 - len(mass)))


# --- To look at ------------------------------------------------------------------------------------------------------


def plot_reading(model, paths):
    """Return a figure with a column for each picture in `paths`: the steps of `predict`, and the ten probabilities."""
    figure, axes = utils.canvas(4, len(paths), height=6.2, squeeze=False, height_ratios=(3, 3, 3, 2))
    for column, path in zip(axes.T, paths, strict=True):
        ink = find_ink(read_picture(path))
        pixels = center_ink(ink)
        column[0].imshow(open_picture(path), cmap="gray")
        column[1].imshow(ink, cmap="gray_r", vmin=0, vmax=1)
        utils.show_image(column[2], pixels)
        for axis in column[:2]:
            axis.set(xticks=[], yticks=[])
        chances = 100 * predict(model, path)
        colours = [utils.ORANGE if digit == chances.argmax() else utils.BLUE for digit in range(10)]
        column[3].bar(range(10), chances.tolist(), color=colours)
        column[3].set(xticks=range(10), ylim=(0, 100), xlabel="digit")
        column[3].tick_params(labelsize=7)
    for axis, label in zip(
        axes[:, 0], ("as it comes", "ink", "as the network\nsees it", "probability (%)"), strict=True
    ):
        axis.set_ylabel(label)
    return figure


def main():
    """Print what each picture named on the command line shows; return 1 where one could not be read, else 0."""
    parser = argparse.ArgumentParser(description="Read the digit in a picture.")
    parser.add_argument("picture", nargs="+", help="files that hold a picture of one digit each")
    paths, net, failed = parser.parse_args().picture, load_net(), 0
    for path in paths:
        try:
            probabilities = predict(net, path)
        except (OSError, ValueError) as error:
            sentence = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
            print(sentence if path in sentence else f"{path}: {sentence}", file=sys.stderr)
            failed = 1
        else:
            digit = int(probabilities.argmax())
            print(f"{path}: {digit}, {probabilities[digit]:.1%} sure")
    return failed


if __name__ == "__main__":
    sys.exit(main())
