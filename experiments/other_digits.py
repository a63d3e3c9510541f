"""How well does the network classify digits that are not from MNIST?  `make exp-other_digits`

It was only trained on MNIST. Here `reader.predict` classifies handwritten digits from another source, printed digits,
and the pictures in reader/samples/. One row per set goes to experiments/results/other_digits.csv.
"""

import numpy as np
import torch
from PIL import Image, ImageDraw

import utils
from experiments import RESULTS, ROOT
from experiments.synthetic_photos import font
from experiments.timing import read, write_rows
from model import load_net
from reader import read_digit, samples

CSV = RESULTS / "other_digits.csv"

# All versions of matplotlib that requirements.txt allows bring these fonts along.
FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "Mono")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
    *("cmr10", "cmb10", "cmss10", "cmtt10"),
)


def printed(angle=0):
    """Return the ten digits in each of `FONTS`, black on white, rotated by `angle` degrees, with their labels."""
    found = []
    for name in FONTS:
        for digit in range(10):
            image = Image.new("L", (220, 220), 255)
            ImageDraw.Draw(image).text((110, 110), str(digit), fill=0, font=font(name, 120), anchor="mm")
            found.append((image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=255), digit))
    return found


def handwritten():
    """Return scikit-learn's digits (Alpaydin and Kaynak, 1998), enlarged from 8×8 to 64×64, with their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = [Image.fromarray(np.uint8(np.rint(image * 255 / 16))) for image in digits.images]
    return [
        (image.resize((64, 64), Image.Resampling.BICUBIC), label)
        for image, label in zip(images, digits.target, strict=True)
    ]


def sample_pictures():
    """Return the paths of the pictures in reader/samples/ with their labels."""
    return [(path, samples.LABELS[path.name]) for path in samples.paths()]


def count_correct(net, pairs):
    """Return how many of `pairs`, pictures and their labels, `net` classifies correctly."""
    return sum(int(read_digit(net, picture)[0].argmax()) == label for picture, label in pairs)


def table():
    """Return the results as a table in Markdown."""
    lines = ["| digits | images | correct |", "|---|---|---|"]
    for row in read(CSV):
        images, correct = int(row["images"]), int(row["correct"])
        lines.append(f"| {row['digits']} | {images:,} | {correct / images:.1%} |")
    return "\n".join(lines)


def main():
    torch.set_num_threads(1)
    net = load_net()
    _, test = utils.load_mnist(ROOT / "data")
    _, accuracy = utils.evaluate(net, test)
    sets = {
        "MNIST's test images, through `predict`": list(zip(test.images, test.labels.tolist(), strict=True)),
        "scikit-learn's digits": handwritten(),
        f"printed, {len(FONTS)} fonts": printed(),
        "the same, rotated left by 15°": printed(15),
        "the same, rotated left by 30°": printed(30),
        "the pictures in reader/samples/": sample_pictures(),
    }
    rows = [("MNIST's test images, directly", len(test.labels), round(accuracy * len(test.labels)))]
    rows += [(name, len(pairs), count_correct(net, pairs)) for name, pairs in sets.items()]
    write_rows(CSV, [dict(zip(("digits", "images", "correct"), row, strict=True)) for row in rows])
    print(table())


if __name__ == "__main__":
    main()
