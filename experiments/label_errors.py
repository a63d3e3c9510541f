"""How many of the saved network's mistakes are label errors? `make exp-label_errors`

results/label_votes.csv lists the test images whose label fewer than three of five human raters confirmed. It is from
Northcutt, Athalye and Mueller, "Pervasive label errors in test sets destabilize machine learning benchmarks", 2021
(https://labelerrors.com). The raters chose between the label, one proposed label, both and neither. mistakes.csv lists
the saved network's mistakes.
"""

import pandas as pd

import utils
from experiments import results, runner, stats
from model import load_net

TEST_IMAGES = 10_000


def mistakes(logits, labels):
    """Return one row per misclassified image: its index, label, predicted digit, and the confidence in percent."""
    confidence, predicted = logits.cpu().double().softmax(dim=1).max(dim=1)
    rows = pd.DataFrame(
        {"label": labels.cpu(), "predicted": predicted, "confidence": (100 * confidence).round(decimals=2)}
    )
    return rows[rows["label"] != rows["predicted"]].rename_axis("test_index").reset_index()


def read_votes():
    """Return the index of each test image with a doubtful label → how many of five raters confirmed the label."""
    votes = results.read("label_votes")
    return dict(zip(votes["test_index"].tolist(), votes["votes_for_label"].tolist(), strict=True))


def counts():
    """Return how many of the saved network's mistakes have a doubtful label, as text.

    `images` have a doubtful label, `doubtful` of the `mistakes` are among them, and `accuracy_without` is the accuracy
    on all other images.
    """
    votes, wrong = read_votes(), results.read("mistakes")["test_index"]
    doubtful, n = int(wrong.isin(list(votes)).sum()), TEST_IMAGES
    return {
        "images": f"{len(votes)}",
        "mistakes": f"{len(wrong)}",
        "doubtful": f"{doubtful}",
        "accuracy": f"{stats.fixed(100 * (1 - len(wrong) / n), 2)}%",
        "accuracy_without": f"{stats.fixed(100 * (1 - (len(wrong) - doubtful) / (n - len(votes))), 2)}%",
    }


def main():
    options = results.parser("List the saved network's mistakes.").parse_args()
    _, test = runner.load_splits()
    rows = mistakes(utils.compute_logits(load_net(), test.images), test.labels)
    rows.to_csv(results.path_for("mistakes", options.update), index=False, float_format="%.2f", lineterminator="\n")
    print(rows.to_string(index=False))


if __name__ == "__main__":
    main()
