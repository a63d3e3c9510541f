"""How thick, wide and many are the strokes of MNIST's digits? With this deploy/doubt.py tells what is no digit.

The shapes of all 60,000 training images are measured. A row a measure goes to experiments/shapes.csv: the smallest and
largest, and what a thousandth of the images fall below and exceed. `make pictures` runs it.
"""

from pathlib import Path

import numpy as np

import utils
from deploy import ROOT
from deploy.shape import measure
from experiments import bench

CSV = Path(__file__).resolve().parent / "shapes.csv"
SHARES = {"smallest": 0, "a_thousandth_below": 0.001, "median": 0.5, "a_thousandth_above": 0.999, "largest": 1}


def main():
    train, _ = utils.load_mnist(ROOT / "data")
    shapes = [measure(image / 255.0) for image in train.images[:, 0].numpy()]
    rows = []
    for name in shapes[0]:
        values = np.quantile([shape[name] for shape in shapes], list(SHARES.values()))
        rows.append({"measure": name} | {share: f"{value:.2f}" for share, value in zip(SHARES, values, strict=True)})
    bench.write_rows(CSV, rows)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
