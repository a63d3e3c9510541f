"""How well are numbers of several digits read?  `make exp-digit_strings`

Numbers of 1 to 8 digits are composed of MNIST's images, with three spacings, digits of different sizes, slanted and on
an uneven line, and photographed on four kinds of paper. `reader.read_number` reads them. One row per kind goes to
experiments/results/digit_strings.csv. The constants in reader/digit_string.py and reader/segment.py were tuned on
numbers composed of training images (`python -m experiments.digit_strings --training`), never on test images.
"""

import argparse
import itertools
import math

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

import utils
from experiments import RESULTS, ROOT
from experiments.synthetic_photos import light
from experiments.timing import read, write_rows
from model import load_net
from reader import read_number, text_of
from reader.image_ops import bounding_box

CSV = RESULTS / "digit_strings.csv"
FIGURE = CSV.with_suffix(".png")
LENGTHS = range(1, 9)
SPACINGS = {"apart": (0.15, 0.5), "close": (0.03, 0.12), "touching": (-0.04, -0.02)}  # gap as a fraction of the height
PAPERS = ("clean", "shadow", "noise", "board")
REPETITIONS = 10  # numbers of each length, spacing and paper


# --- A number → its photograph ---------------------------------------------------------------------------------------


def make_numbers(split, length, spacing, paper):
    """Yield (label, photograph) of `REPETITIONS` numbers, composed of digits from `split`; the same on every call.

    The label is a string, and the photograph uint8 [H, W].
    """
    generator = np.random.default_rng([length, list(SPACINGS).index(spacing), PAPERS.index(paper)])
    for _ in range(REPETITIONS):
        chosen = generator.integers(0, len(split.labels), length)
        label = "".join(str(digit) for digit in split.labels[chosen].tolist())
        ink = write_number(split.images[chosen, 0].numpy(), spacing, generator)
        yield label, photograph_number(ink, paper, generator)


def write_number(images, spacing, generator):
    """Return the ink of `images`, uint8 [N, 28, 28], side by side: float32 [H, W] from 0 to 1."""
    height, slant = generator.uniform(24, 56), generator.uniform(-0.25, 0.25)
    line = np.zeros((round(2.5 * height), round(2.5 * height * (len(images) + 1))), dtype=np.float32)
    for i, image in enumerate(images):
        digit = write_digit(image, height * generator.uniform(0.85, 1.15) / 20, slant + generator.normal(0, 0.04))
        top = round(1.8 * height + generator.normal(0, 0.06) * height) - len(digit)
        band = line[top : top + len(digit)]
        gap = round(generator.uniform(*SPACINGS[spacing]) * height)
        left = next_column(band, digit, gap, spacing == "touching") if i else 0
        band[:, left : left + digit.shape[1]] = np.maximum(band[:, left : left + digit.shape[1]], digit)
    return trim(line)


def write_digit(image, scale, slant):
    """Return the ink of `image`, uint8 [28, 28], enlarged by `scale` and slanted: float32 [H, W], without margins."""
    side = round(28 * scale * 1.3)
    middle = side / 2
    x_row = (1 / scale, slant / scale, 14 - (middle + slant * middle) / scale)
    y_row = (0, 1 / scale, 14 - middle / scale)
    matrix = (*x_row, *y_row)
    drawn = Image.fromarray(image).transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return trim(np.asarray(drawn, dtype=np.float32) / 255)


def trim(ink):
    """Return `ink` without empty margins."""
    return ink[bounding_box(ink > 0.1)]


def next_column(band, digit, gap, touch):
    """Return the column of `band` at which `digit` starts if it is `gap` pixels from the digits already there.

    As in handwriting, the gap is that between the two nearest points. Unless they `touch`, digits hardly overlap
    horizontally.
    """
    written = band > 0.3
    columns = np.arange(band.shape[1])
    ends = ndimage.maximum_filter1d(np.where(written, columns, -9999).max(axis=1), 5)
    starts = ndimage.minimum_filter1d(np.where(digit > 0.3, columns[: digit.shape[1]], 9999).min(axis=1), 5)
    nearest = (ends - starts).max() + 1 + gap
    end = columns[written.any(axis=0)].max(initial=0)
    return max(0, nearest if touch else max(nearest, end - round(0.15 * len(digit))))


def photograph_number(ink, paper, generator):
    """Return a photograph, uint8 [H, W], of `ink` on a kind of `paper`."""
    margins = [[round(len(ink) * generator.uniform(0.25, 1.5)) for _ in range(2)] for _ in range(2)]
    ink = ndimage.gaussian_filter(np.pad(ink, margins), generator.uniform(0.3, 0.8))
    white, black = generator.uniform(0.8, 1), generator.uniform(0.1, 0.45)
    scene = white + (black - white) * ink
    if paper == "board":
        scene = 1 - scene
    if paper == "shadow":
        dark, angle = generator.uniform(0.35, 0.6), generator.uniform(0, 2 * math.pi)
        scene = scene * light(ink.shape[::-1], 1, dark, angle)[..., 0]
    if paper == "noise":
        scene = scene + generator.normal(0, 0.05, ink.shape)
        rows, columns = (generator.integers(0, n, 6) for n in ink.shape)
        scene[rows, columns] = black  # specks
    return np.uint8(255 * np.clip(scene + generator.normal(0, 0.01, ink.shape), 0, 1))


# --- Results ---------------------------------------------------------------------------------------------------------


def read_all(net, split, lengths=LENGTHS):
    """Read all numbers of these `lengths`; return a list of (length, spacing, paper, label, text)."""
    return [
        (length, spacing, paper, label, read_text(net, picture))
        for length, spacing, paper in itertools.product(lengths, SPACINGS, PAPERS)
        for label, picture in make_numbers(split, length, spacing, paper)
    ]


def read_text(net, picture):
    """Return the number in `picture` as a string, empty if it is refused."""
    try:
        return text_of(read_number(net, picture)[0])
    except ValueError:
        return ""


def count_digits_right(label, text):
    """Return how many digits of `label` are in `text` in the same order: their longest common subsequence."""
    row = [0] * (len(text) + 1)
    for digit in label:
        before = row.copy()
        for i, other in enumerate(text, start=1):
            row[i] = before[i - 1] + 1 if digit == other else max(before[i], row[i - 1])
    return row[-1]


def summarize(name, results):
    """Return the row of the CSV that summarizes `results` of `read_all`."""
    pairs = [(label, text) for *_, label, text in results]
    return {
        "numbers": name,
        "pictures": len(pairs),
        "digits": sum(len(label) for label, _ in pairs),
        "digits_right": sum(count_digits_right(label, text) for label, text in pairs),
        "all_right": sum(label == text for label, text in pairs),
        "wrong_count": sum(len(label) != len(text) for label, text in pairs),
    }


def summaries(results):
    """Return one row of the CSV per length, spacing and paper."""
    rows = [summarize(f"{n} digit{'s' * (n > 1)}", [one for one in results if one[0] == n]) for n in LENGTHS]
    rows += [summarize(spacing, [one for one in results if one[1] == spacing]) for spacing in SPACINGS]
    rows += [summarize(paper, [one for one in results if one[2] == paper]) for paper in PAPERS]
    return rows


def as_table(rows):
    """Return `rows` of the CSV as a table in Markdown."""
    lines = ["| numbers | pictures | digits right | numbers right | wrong number of digits |", "|---|---|---|---|---|"]
    for row in rows:
        pictures = int(row["pictures"])
        digits, numbers = int(row["digits_right"]) / int(row["digits"]), int(row["all_right"]) / pictures
        wrong_count = int(row["wrong_count"]) / pictures
        lines.append(f"| {row['numbers']} | {pictures} | {digits:.1%} | {numbers:.1%} | {wrong_count:.1%} |")
    return "\n".join(lines)


def table():
    """Return the results as a table in Markdown."""
    return as_table(read(CSV))


def plot_number(net, picture):
    """Return a figure of `picture`, uint8 [H, W], with the box of each digit; the least confident one is orange."""
    from matplotlib.patches import Rectangle

    from plots import BLUE, ORANGE, new_figure

    digits, _ = read_number(net, picture)
    confidences = [float(digit.probabilities.max()) for digit in digits]
    _, tops, _, bottoms = zip(*(digit.box for digit in digits), strict=True)
    height = max(bottoms) - min(tops)
    rows = max(0, min(tops) - height), min(len(picture), max(bottoms) + height // 2)
    figure, axes = new_figure(width=9, height=9 * (rows[1] - rows[0]) / picture.shape[1])
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[], ylim=rows[::-1])
    for digit, text, confidence in zip(digits, text_of(digits), confidences, strict=True):
        left, top, right, bottom = digit.box
        colour = ORANGE if confidence == min(confidences) else BLUE
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=2))
        style = {"color": colour, "backgroundcolor": "white", "ha": "center", "va": "bottom", "fontsize": 11}
        axes.text((left + right) / 2, min(tops) - height / 5, f"{text}\n{confidence:.1%}", **style)
    return figure


def main():
    options = argparse.ArgumentParser(description="Read numbers composed of MNIST's test images.")
    options.add_argument("--training", action="store_true", help="of training images, for tuning; writes nothing")
    training = options.parse_args().training
    torch.set_num_threads(1)
    net = load_net()
    train, test = utils.load_mnist(ROOT / "data")
    rows = summaries(read_all(net, train if training else test))
    if not training:
        write_rows(CSV, rows)
        _, picture = next(make_numbers(test, 5, "close", "shadow"))
        plot_number(net, picture).savefig(FIGURE)
    print(as_table(rows))


if __name__ == "__main__":
    main()
