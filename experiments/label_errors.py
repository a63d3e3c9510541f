"""How many of the saved network's mistakes are label errors? `make exp-label_errors`

mistakes.csv lists the saved network's mistakes. results/label_votes.csv has the 100 test images that people rated, five
each, because a model had found them suspicious (mturk/mnist_mturk.json of github.com/cleanlab/label-errors at commit
6d5d6b3; Northcutt, Athalye and Mueller, "Pervasive label errors in test sets destabilize machine learning benchmarks",
2021, https://labelerrors.com). The raters chose between the label, one proposed label, both and neither.
"""

import pandas as pd

import utils
from experiments import calibration, results
from model import load_net


def mistakes(logits, labels):
    """Return one row per misclassified image: its index, label, predicted digit, and the confidence in percent."""
    confidence, correct = calibration.confidences(logits, labels)
    rows = {"label": labels.cpu(), "predicted": logits.cpu().argmax(dim=1), "confidence": (100 * confidence).round(2)}
    return pd.DataFrame(rows)[~correct].rename_axis("test_index").reset_index()


def read_votes():
    """Return the index of each test image with a doubtful label → how many of five raters confirmed it, 0 to 2."""
    votes = results.read("label_votes").set_index("test_index")["votes_for_label"]
    return votes[votes < 3].to_dict()


def counts():
    """Return how many images were rated, and how many of the saved network's mistakes, as text.

    A label is `doubtful` if fewer than three of five raters confirmed it, else `confirmed`.
    """
    votes = results.read("label_votes").set_index("test_index")["votes_for_label"]
    wrong = results.read("mistakes")["test_index"]
    rated = votes[votes.index.isin(wrong)]
    numbers = {"images": len(votes), "mistakes": len(wrong), "rated": len(rated), "unrated": len(wrong) - len(rated)}
    numbers |= {"confirmed": (rated >= 3).sum(), "doubtful": (rated < 3).sum()}
    return {name: f"{number}" for name, number in numbers.items()}


def main():
    options = results.parser("List the saved network's mistakes.").parse_args()
    _, test = utils.load_mnist(results.ROOT / "data")
    rows = mistakes(utils.compute_logits(load_net(), test.images), test.labels)
    rows.to_csv(results.path_for("mistakes", options.update), index=False, float_format="%.2f", lineterminator="\n")
    print(rows.to_string(index=False))


if __name__ == "__main__":
    main()
