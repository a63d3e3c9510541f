"""How strong the augmentation is to be: which strength is taken, and what is told of the others."""

import pytest

import utils
from experiments import strength
from experiments.search import Annealed


def rows(line, accuracy, loss, seeds=range(3)):
    """Return the rows of `line`, whose accuracy from epoch 10 on and last loss grow a little with the seed."""
    return [
        {
            "line": line,
            "seed": str(seed),
            "epoch": str(epoch),
            "validation_accuracy": str(accuracy + seed / 100 if epoch >= 10 else 90),
            "validation_loss": str(loss + seed / 1000 if epoch == 15 else 1),
        }
        for seed in seeds
        for epoch in range(1, 16)
    ]


BEFORE = rows("without annealing, without weight decay", 99.4, 0.02) + rows("recipe", 99.9, 0.01)
ROWS = rows("strength 0.5", 99.35, 0.022) + rows("strength 1.25", 99.45, 0.019)


def test_the_highest_mean_is_taken_whatever_its_interval():
    assert strength.best(ROWS, BEFORE) == 1.25
    assert strength.best(rows("strength 0.5", 99.3, 0.02) + rows("strength 1.25", 99.39, 0.019), BEFORE) == 0.875


def test_each_strength_is_told_with_its_difference_to_that_of_before():
    weak, before, strong = strength.tell(ROWS, BEFORE).splitlines()
    assert before == "| 0.875 | 99.410 % |  | 0.02100 |  |  |"
    assert weak.startswith("| 0.5 | 99.360 % | -0.050 (-0.050 to -0.050) | 0.02300 | +0.00200 (")
    assert weak.endswith("| accuracy lower, loss higher |")
    assert "| 1.25 | 99.460 % | +0.050 (" in strong


def test_a_strength_multiplies_all_limits(monkeypatch):
    asked = []
    monkeypatch.setattr(utils, "random_affines", lambda n, *limits: asked.append((n, *limits[:4])))
    Annealed(0.5, 0.5)(7)
    assert asked == [(7, *map(pytest.approx, (5, 0.04, 0.05, 4)))]
