"""What are the strokes of MNIST's digits like? With this reader/sanity_checks.py tells what is no digit. `make pictures`

The shapes of all 60,000 training images are measured, and of every tenth how firmly it is read when it is turned a
little. A row a measure goes to experiments/results/shape_limits.csv: the smallest and largest, and what a thousandth or a hundredth
of the images fall below and a thousandth exceed.
"""

from pathlib import Path

import numpy as np
import torch

import utils
from experiments import timing as bench
from model import load_net
from reader import ROOT
from reader.sanity_checks import firmness
from reader.shape_features import measure

CSV = Path(__file__).resolve().parent / "results" / "shape_limits.csv"
SHARES = {
    "smallest": 0,
    "a_thousandth_below": 0.001,
    "a_hundredth_below": 0.01,
    "median": 0.5,
    "a_thousandth_above": 0.999,
    "largest": 1,
}


def main():
    torch.set_num_threads(1)
    train, _ = utils.load_mnist(ROOT / "data")
    inks = train.images[:, 0].numpy() / np.float32(255)
    shapes, net = [measure(ink) for ink in inks], load_net()
    found = {name: [shape[name] for shape in shapes] for name in shapes[0]}
    found["firm"] = [firmness(net, ink)[1] for ink in inks[::10]]
    rows = []
    for name, values in found.items():
        parts = zip(SHARES, np.quantile(values, list(SHARES.values())), strict=True)
        rows.append({"measure": name} | {share: f"{value:.2f}" for share, value in parts})
    bench.write_rows(CSV, rows)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
