"""How well are digits from elsewhere classified? `make elsewhere`

The network has only ever seen MNIST. Here `reader.digit.predict` classifies digits that other people wrote, digits
that fonts print, and the pictures that this repository carries. A row a set goes to experiments/results/other_digits.csv.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

import utils
from experiments import timing as bench
from model import load_net
from reader import ROOT
from reader.digit import predict
from reader.samples import synthetic_photos as make

CSV = Path(__file__).resolve().parent / "results" / "other_digits.csv"

# matplotlib's own, so that they are the same everywhere: those that every version has that requirements.txt allows.
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "Mono")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)


def printed(turn=0):
    """Return the ten digits in each of `FONTS`, black on white and turned by `turn` degrees, with their labels."""
    found = []
    for name in FONTS:
        font = ImageFont.truetype(make.FONTS / f"{name}.ttf", 120)
        for digit in range(10):
            image = Image.new("L", (220, 220), 255)
            ImageDraw.Draw(image).text((110, 110), str(digit), fill=0, font=font, anchor="mm")
            found.append((image.rotate(turn, Image.Resampling.BICUBIC, fillcolor=255), digit))
    return found


def handwritten():
    """Return scikit-learn's digits (Alpaydin and Kaynak, 1998), scaled from 8×8 to 64×64, with their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = [Image.fromarray(np.uint8(np.rint(image * 255 / 16))) for image in digits.images]
    return [
        (image.resize((64, 64), Image.Resampling.BICUBIC), label)
        for image, label in zip(images, digits.target, strict=True)
    ]


def carried():
    """Return the pictures of this repository with their labels."""
    return [(make.HERE / name, digit) for name, (_, digit) in make.PICTURES.items()]


def count(net, pairs):
    """Return how many of `pairs`, pictures and their labels, `net` classifies correctly."""
    return sum(int(predict(net, picture).argmax()) == label for picture, label in pairs)


def main():
    torch.set_num_threads(1)
    net = load_net()
    _, test = utils.load_mnist(ROOT / "data")
    _, accuracy = utils.evaluate(net, test)
    sets = {
        "MNIST's test images, through `predict`": list(zip(test.images, test.labels.tolist(), strict=True)),
        "scikit-learn's digits": handwritten(),
        f"printed, {len(FONTS)} fonts": printed(),
        "the same, turned left by 15°": printed(15),
        "the same, turned left by 30°": printed(30),
        "the pictures of this repository": carried(),
    }
    found = [("MNIST's test images, as they are", len(test.labels), round(accuracy * len(test.labels)))]
    found += [(name, len(pairs), count(net, pairs)) for name, pairs in sets.items()]
    bench.write_rows(CSV, [dict(zip(("digits", "images", "correct"), row, strict=True)) for row in found])
    for name, images, correct in found:
        print(f"| {name} | {images:,} | {correct / images:.1%} |".replace("%", " %"))


if __name__ == "__main__":
    main()
