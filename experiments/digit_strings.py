"""How well are several digits read? `make numbers`

Numbers of 1 to 8 digits are written with MNIST's images: next to each other in three ways, larger and smaller, slanted,
up and down, and photographed on four kinds of paper. `reader.digit_string.read_number` reads them, and a row a kind goes to
experiments/results/digit_strings.csv. What reader/digit_string.py and reader/segment.py have to choose was chosen with digits from the
training images (`python -m experiments.digit_strings --training`), never by what came of the test images.
"""

import argparse
import itertools
import math
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from matplotlib.patches import Rectangle
from PIL import Image
from scipy import ndimage

import utils
from experiments import timing as bench
from model import load_net
from reader import ROOT
from reader import segment as segments
from reader.digit_string import read_number, text_of
from reader.samples import synthetic_photos as make

CSV = Path(__file__).resolve().parent / "results" / "digit_strings.csv"
PNG = CSV.with_suffix(".png")
LENGTHS = range(1, 9)
SPACINGS = {"apart": (0.15, 0.5), "close": (0.03, 0.12), "touching": (-0.04, -0.02)}  # the gap over a digit's height
PAPERS = ("clean", "shadow", "grain", "board")
TIMES = 10  # numbers of each length, spacing and paper


# --- A number → its photograph ---------------------------------------------------------------------------------------


def make_numbers(split, length, spacing, paper):
    """Yield (label, photograph) of `TIMES` numbers of this kind, of digits from `split`; the same every time.

    `label` is text, and `photograph` uint8 [H, W].
    """
    generator = np.random.default_rng([length, list(SPACINGS).index(spacing), PAPERS.index(paper)])
    for _ in range(TIMES):
        chosen = generator.integers(0, len(split.labels), length)
        label = "".join(str(digit) for digit in split.labels[chosen].tolist())
        ink = write(split.images[chosen, 0].numpy(), spacing, generator)
        yield label, photograph(ink, paper, generator)


def write(images, spacing, generator):
    """Return ink of `images`, uint8 [N, 28, 28], written in a row: float32 [H, W] from 0 to 1."""
    height, slant = generator.uniform(24, 56), generator.uniform(-0.25, 0.25)
    line = np.zeros((round(2.5 * height), round(2.5 * height * (len(images) + 1))), dtype=np.float32)
    for i, image in enumerate(images):
        digit = write_one(image, height * generator.uniform(0.85, 1.15) / 20, slant + generator.normal(0, 0.04))
        top = round(1.8 * height + generator.normal(0, 0.06) * height) - len(digit)
        band = line[top : top + len(digit)]
        gap = round(generator.uniform(*SPACINGS[spacing]) * height)
        left = place_after(band, digit, gap, spacing == "touching") if i else 0
        band[:, left : left + digit.shape[1]] = np.maximum(band[:, left : left + digit.shape[1]], digit)
    return trim(line)


def write_one(image, scale, slant):
    """Return ink of `image`, uint8 [28, 28], `scale` times as large and slanted, float32 [H, W] without a margin."""
    side = round(28 * scale * 1.3)
    middle = side / 2
    across = (1 / scale, slant / scale, 14 - (middle + slant * middle) / scale)
    down = (0, 1 / scale, 14 - middle / scale)
    whole = Image.fromarray(image)
    drawn = whole.transform((side, side), Image.Transform.AFFINE, (*across, *down), Image.Resampling.BICUBIC)
    return trim(np.asarray(drawn, dtype=np.float32) / 255)


def trim(ink):
    """Return `ink` without the rows and columns around it that are empty."""
    rows, columns = (np.flatnonzero((ink > 0.1).any(axis=axis)) for axis in (1, 0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def place_after(band, digit, gap, touch):
    """Return the column of `band` from which `digit` is `gap` pixels away from what is written in `band`.

    The gap is taken where the two are nearest, as a hand does it. Digits that do not `touch` are hardly
    under each other.
    """
    written = band > 0.3
    columns = np.arange(band.shape[1])
    ends = ndimage.maximum_filter1d(np.where(written, columns, -9999).max(axis=1), 5)
    starts = ndimage.minimum_filter1d(np.where(digit > 0.3, columns[: digit.shape[1]], 9999).min(axis=1), 5)
    nearest = (ends - starts).max() + 1 + gap
    end = columns[written.any(axis=0)].max(initial=0)
    return max(0, nearest if touch else max(nearest, end - round(0.15 * len(digit))))


def photograph(ink, paper, generator):
    """Return the photograph, uint8 [H, W], of `ink` on a kind of `paper`."""
    around = [[round(len(ink) * generator.uniform(0.25, 1.5)) for _ in range(2)] for _ in range(2)]
    ink = ndimage.gaussian_filter(np.pad(ink, around), generator.uniform(0.3, 0.8))
    white, black = generator.uniform(0.8, 1), generator.uniform(0.1, 0.45)
    scene = white + (black - white) * ink
    if paper == "board":
        scene = 1 - scene
    if paper == "shadow":
        dark, angle = generator.uniform(0.35, 0.6), generator.uniform(0, 2 * math.pi)
        scene = scene * make.light(ink.shape[::-1], 1, dark, angle)[..., 0]
    if paper == "grain":
        scene = scene + generator.normal(0, 0.05, ink.shape)
        rows, columns = (generator.integers(0, n, 6) for n in ink.shape)
        scene[rows, columns] = black  # specks
    return np.uint8(255 * np.clip(scene + generator.normal(0, 0.01, ink.shape), 0, 1))


# --- What is made of it ----------------------------------------------------------------------------------------------


def measure(net, split, lengths=LENGTHS):
    """Return what `read_number` makes of all numbers of these `lengths`, as (length, spacing, paper, label, text)."""
    return [
        (length, spacing, paper, label, text_in(net, picture))
        for length, spacing, paper in itertools.product(lengths, SPACINGS, PAPERS)
        for label, picture in make_numbers(split, length, spacing, paper)
    ]


def text_in(net, picture):
    """Return the number in `picture` as text, empty where it is refused."""
    try:
        return text_of(read_number(net, picture))
    except ValueError:
        return ""


def found_in(label, text):
    """Return how many digits of `label` are in `text`, in the same order: their longest common subsequence."""
    row = [0] * (len(text) + 1)
    for digit in label:
        before = row.copy()
        for i, other in enumerate(text, start=1):
            row[i] = before[i - 1] + 1 if digit == other else max(before[i], row[i - 1])
    return row[-1]


def row_of(name, results):
    """Return the row that sums up `results`, which `measure` returned."""
    pairs = [(label, text) for *_, label, text in results]
    return {
        "numbers": name,
        "pictures": len(pairs),
        "digits": sum(len(label) for label, _ in pairs),
        "digits_right": sum(found_in(label, text) for label, text in pairs),
        "all_right": sum(label == text for label, text in pairs),
        "wrong_count": sum(len(label) != len(text) for label, text in pairs),
    }


def rows_of(net, split):
    """Return a row for each length, each spacing and each paper, and for each spacing when nothing is cut."""
    results = measure(net, split)
    with mock.patch.object(segments, "WIDE", math.inf):
        uncut = measure(net, split)
    rows = [row_of(f"{n} digit{'s' * (n > 1)}", [one for one in results if one[0] == n]) for n in LENGTHS]
    rows += [row_of(spacing, [one for one in results if one[1] == spacing]) for spacing in SPACINGS]
    rows += [row_of(f"{spacing}, nothing cut", [one for one in uncut if one[1] == spacing]) for spacing in SPACINGS]
    rows += [row_of(paper, [one for one in results if one[2] == paper]) for paper in PAPERS]
    return rows


def as_line(row):
    """Return `row` as a line of the table in deploy/README.md."""
    digits, pictures = int(row["digits"]), int(row["pictures"])
    found = int(row["digits_right"]) / digits, int(row["all_right"]) / pictures, int(row["wrong_count"]) / pictures
    return " | ".join([f"| {row['numbers']}", str(pictures), *(f"{100 * share:.1f} %" for share in found)]) + " |"


def postcode(split):
    """Return the photograph of a number of five digits from `split`, uint8 [H, W]."""
    return next(make_numbers(split, 5, "close", "shadow"))[1]


def plot_number(net, picture):
    """Return a figure of the number in `picture`, uint8 [H, W], and the box of each digit, the least sure orange."""
    digits = read_number(net, picture)
    sure = [float(digit.probabilities.max()) for digit in digits]
    _, tops, _, bottoms = zip(*(digit.box for digit in digits), strict=True)
    high = max(bottoms) - min(tops)
    rows = max(0, min(tops) - high), min(len(picture), max(bottoms) + high // 2)
    figure, axes = utils.canvas(width=9, height=9 * (rows[1] - rows[0]) / picture.shape[1])
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[], ylim=rows[::-1])
    for digit, own, share in zip(digits, text_of(digits), sure, strict=True):
        left, top, right, bottom = digit.box
        colour = utils.ORANGE if share == min(sure) else utils.BLUE
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor=colour, linewidth=2))
        style = {"color": colour, "backgroundcolor": "white", "ha": "center", "va": "bottom"}
        axes.text((left + right) / 2, min(tops) - high / 5, f"{own}\n{100 * share:.1f} %", fontsize=11, **style)
    return figure


def main():
    options = argparse.ArgumentParser(description="Have the network read numbers made of MNIST's digits.")
    options.add_argument("--training", action="store_true", help="of the training images, to choose by; writes nothing")
    training = options.parse_args().training
    torch.set_num_threads(1)
    net = load_net()
    train, test = utils.load_mnist(ROOT / "data")
    rows = rows_of(net, train if training else test)
    if not training:
        bench.write_rows(CSV, rows)
        plot_number(net, postcode(test)).savefig(PNG)
    print("\n".join(as_line(row) for row in rows))


if __name__ == "__main__":
    main()
