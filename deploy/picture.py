"""Read the digit in a picture of any kind: `python -m deploy.picture photo.jpg`

A picture is brought into the form that MNIST's digits have, in three steps: `read_picture` (decode.py) turns it into
brightness, `find_ink` (ink.py) into ink on nothing, and `center_ink` (ink.py) into 28×28.
"""

import argparse
import sys

import utils
from deploy import load_net
from deploy.decode import open_picture, read_picture
from deploy.ink import center_ink, find_ink
from deploy.number import read_number, text_of


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


def read_one(net, path):
    """Return the digit in the picture `path` and how sure `net` is, text."""
    probabilities = predict(net, path)
    digit = int(probabilities.argmax())
    return f"{digit}, {probabilities[digit]:.1%} sure"


def read_all(net, path):
    """Return the digits in the picture `path`, and how sure `net` is of the one that it is least sure of, text."""
    digits = read_number(net, path)
    return f"{text_of(digits)}, {min(float(digit.probabilities.max()) for digit in digits):.1%} sure of the least sure"


def main():
    """Print what each picture named on the command line shows; return 1 where one could not be read, else 0."""
    parser = argparse.ArgumentParser(description="Read the digit in a picture.")
    parser.add_argument("picture", nargs="+", help="files that hold a picture of one digit each")
    parser.add_argument("--number", action="store_true", help="read several digits, from left to right")
    options, net, failed = parser.parse_args(), load_net(), 0
    for path in options.picture:
        try:
            verdict = read_all(net, path) if options.number else read_one(net, path)
        except (OSError, ValueError) as error:
            sentence = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
            print(sentence if path in sentence else f"{path}: {sentence}", file=sys.stderr)
            failed = 1
        else:
            print(f"{path}: {verdict}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
