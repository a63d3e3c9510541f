"""Which shape features do MNIST's digits have?  `make exp-shape_limits`

The limits in reader/sanity_checks.py are quantiles of these: the shape features of all 60,000 training images, and for
every tenth image the stability of the answer under rotation. One row per feature goes to
experiments/results/shape_limits.csv.
"""

import numpy as np
import torch

import utils
from experiments import RESULTS, ROOT
from experiments.timing import write_rows
from model import load_net
from reader.sanity_checks import rotation_stability
from reader.shape_features import shape_features

CSV = RESULTS / "shape_limits.csv"
QUANTILES = {"minimum": 0, "0.1%": 0.001, "1%": 0.01, "median": 0.5, "99.9%": 0.999, "maximum": 1}


def main():
    torch.set_num_threads(1)
    train, _ = utils.load_mnist(ROOT / "data")
    inks, net = train.images[:, 0].numpy() / np.float32(255), load_net()
    features = [shape_features(ink) for ink in inks]
    values = {name: [each[name] for each in features] for name in features[0]}
    values["stability"] = [rotation_stability(net, ink)[1] for ink in inks[::10]]
    rows = [
        {"feature": name} | {column: f"{np.quantile(own, quantile):.2f}" for column, quantile in QUANTILES.items()}
        for name, own in values.items()
    ]
    write_rows(CSV, rows)
    print(*rows, sep="\n")


if __name__ == "__main__":
    main()
