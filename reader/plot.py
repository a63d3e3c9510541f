"""A figure of the steps from a picture to an answer."""

from plots import BLUE, ORANGE, new_figure, show_image
from reader.ink import extract_ink
from reader.load_image import decode, load_image
from reader.mnist_format import to_mnist_format
from reader.sanity_checks import classify_rotated


def plot_reading(model, paths):
    """Return a figure with one column per picture in `paths`: the steps of `read_digit`, and the ten probabilities."""
    figure, axes = new_figure(4, len(paths), height=6.2, squeeze=False, height_ratios=(3, 3, 3, 2))
    for column, path in zip(axes.T, paths, strict=True):
        ink = extract_ink(load_image(path))
        column[0].imshow(decode(path)[0], cmap="gray")
        column[1].imshow(ink, cmap="gray_r", vmin=0, vmax=1)
        show_image(column[2], to_mnist_format(ink))
        for axis in column[:2]:
            axis.set(xticks=[], yticks=[])
        percent = 100 * classify_rotated(model, ink).mean(dim=0)
        colours = [ORANGE if digit == percent.argmax() else BLUE for digit in range(10)]
        column[3].bar(range(10), percent.tolist(), color=colours)
        column[3].set(xticks=range(10), ylim=(0, 100), xlabel="digit")
        column[3].tick_params(labelsize=7)
    for axis, label in zip(axes[:, 0], ("picture", "ink", "the network's\ninput", "probability (%)"), strict=True):
        axis.set_ylabel(label)
    return figure
