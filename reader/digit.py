"""Read the digit in a picture of any kind: `python -m reader.digit photo.jpg`

A picture is brought into the form that MNIST's digits have, in three steps: `read_picture` (decode.py) turns it into
brightness, `find_ink` (ink.py) into ink on nothing, and `center_ink` (ink.py) into 28×28. What speaks against the
answer is looked for in doubt.py.
"""

import argparse
import sys

import utils
from model import WEIGHTS, load_net
from reader.digit_string import read_number, text_of
from reader.ink import center_ink, find_ink
from reader.load_image import open_picture, read_picture
from reader.sanity_checks import doubts_of, probabilities


def predict(model, image):
    """Return the probabilities of the ten digits for one picture, float32 [10] on the CPU.

    `image` is a path, an open binary file, a PIL image, or an array or tensor: bool, uint8, uint16, or float from 0 to
    1, as [H, W], [1, H, W], [1, 1, H, W], [3, H, W] or [H, W, 1 to 4]. Any size, colour, transparency, dark on light or
    light on dark, with shadows and grain, on a sheet that fills the picture or lies on a desk. What is written there is
    read as one digit, whatever it is: see `doubts`. Raises ValueError where it is no picture or no strokes stand out in
    it, and OSError where the file cannot be read.
    """
    return probabilities(model, [find_ink(read_picture(image))])[0]


def doubts(model, image):
    """Return what speaks against the answer of `predict`, a list of short sentences; empty where nothing does.

    Each says what is unlike MNIST's digits: several pieces side by side, ink at the edge, strokes far too thick or
    thin, too many loops, an answer that does not hold when the picture is turned a little. `image` and the errors
    raised are those of `predict`. An answer without a doubt may be wrong all the same.
    """
    return doubts_of(model, find_ink(read_picture(image)))


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
        chances = 100 * probabilities(model, [ink])[0]
        colours = [utils.ORANGE if digit == chances.argmax() else utils.BLUE for digit in range(10)]
        column[3].bar(range(10), chances.tolist(), color=colours)
        column[3].set(xticks=range(10), ylim=(0, 100), xlabel="digit")
        column[3].tick_params(labelsize=7)
    for axis, label in zip(
        axes[:, 0], ("as it comes", "ink", "as the network\nsees it", "probability (%)"), strict=True
    ):
        axis.set_ylabel(label)
    return figure


def tell_digit(net, picture):
    """Return the digit in `picture`, how sure `net` is, and what speaks against it, text."""
    ink = find_ink(picture)
    chances = probabilities(net, [ink])[0]
    found = "".join(f"; but {doubt}" for doubt in doubts_of(net, ink))
    return f"{int(chances.argmax())}, {chances.max():.1%} sure{found}"


def tell_number(net, picture):
    """Return the digits in `picture`, and how sure `net` is of the one that it is least sure of, text."""
    digits = read_number(net, picture)
    text, sure = text_of(digits), min(float(digit.probabilities.max()) for digit in digits)
    return f"{text}, {sure:.1%} sure" if len(digits) == 1 else f"{text}, each {sure:.1%} sure or more"


def main():
    """Print what each picture named on the command line shows, and doubts; return 1 where one was not read, else 0."""
    parser = argparse.ArgumentParser(prog="python -m reader.digit", description="Read the digit in a picture.")
    parser.add_argument(
        "picture", nargs="+", help="files that hold a picture of one digit each, or with --number, of a line"
    )
    parser.add_argument("--number", action="store_true", help="read several digits, from left to right, without doubts")
    options, failed = parser.parse_args(), 0
    try:
        net = load_net()
    except (OSError, ValueError) as error:
        sys.exit(told(error, WEIGHTS))
    for path in options.picture:
        try:
            verdict = (tell_number if options.number else tell_digit)(net, read_picture(path))
        except (OSError, ValueError) as error:
            print(told(error, path), file=sys.stderr)
            failed = 1
        else:
            print(f"{path}: {verdict}")
    return failed


def told(error, path):
    """Return what `error`, an OSError or a ValueError, says of the file `path`, one line that begins with it."""
    sentence = f"{path}: {error.strerror}" if isinstance(error, OSError) else str(error)
    return sentence if str(path) in sentence else f"{path}: {sentence}"


if __name__ == "__main__":
    sys.exit(main())
