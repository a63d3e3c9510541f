"""The way from plain SGD to the recipe: one change a line, each line compared with the one above."""

import functools
import inspect
import itertools

import pytest
import torch

import utils
from experiments import buildup as ablation
from experiments import runner as study

SEEDS = range(3)
VALUES = {  # training → accuracies of the weights being trained, and of their average
    "constant": (99.0, 99.1),
    "scheduled": (99.2, 99.3),
    "higher": (99.3, 99.4),
    "augmented": (99.4, 99.5),
}


def rows(line, current, averaged, seeds=SEEDS):
    """Return the rows of `line`: both accuracies rise by 0.01 a seed, and losses are a hundredth of the errors."""
    return [
        {
            "line": line,
            "seed": str(seed),
            "epoch": str(epoch),
            **{
                f"{weights}_{metric}": str(value)
                for weights, reached in (("current", current), ("test", averaged))
                for metric, value in (
                    ("accuracy", reached + seed / 100 if epoch >= 10 else 90),
                    ("loss", (100 - reached - seed / 100) / 100 if epoch == 15 else 1),
                )
            },
        }
        for seed in seeds
        for epoch in range(1, 16)
    ]


ROWS = [row for line, (current, averaged) in VALUES.items() for row in rows(line, current, averaged)]
RECIPE = rows("", 99.0, 99.7)


def test_each_line_changes_one_thing():
    """SGD in Muon's place comes with its own rate, since theirs are of different kinds: those two go together."""
    defaults = {name: p.default for name, p in inspect.signature(utils.fit).parameters.items()}
    whole = [
        {name: defaults[name] for name in ("optimizers", "lr", "schedule", "augment")} | pieces
        for pieces in [*ablation.trainings(0.01).values(), {}]
    ]
    changes = [{name for name in line if line[name] != above[name]} for above, line in itertools.pairwise(whole)]
    assert changes == [{"schedule"}, {"lr"}, {"augment"}, {"optimizers", "lr"}]
    assert [pieces["lr"] for pieces in whole] == pytest.approx([0.01, 0.01, 0.03, 0.03, 0.15])
    (optimizer,) = ablation.sgd(torch.nn.Linear(2, 2), 0.01)
    assert optimizer.param_groups[0]["weight_decay"] == 0


@pytest.mark.parametrize("name", ablation.trainings(0.01))
def test_every_training_runs_and_is_read_with_both_weights(few, name, monkeypatch):
    monkeypatch.setattr(study, "train", functools.partial(study.train, epochs=1))
    (row,) = ablation.work({"line": name, "seed": 0}, rate=0.01)
    assert {*row, *ablation.NAMES} == set(ablation.FIELDS)
    assert all(float(row[column]) > 0 for column in study.CURRENT)


def test_the_rate_is_the_best_by_the_weights_being_trained_late_and_over_the_tuning_seeds():
    found = rows("constant 0.005", 99.1, 99.9, range(100, 103))
    found += rows("constant 0.015", 99.2, 99.3, range(100, 103))
    found += rows("constant 0.05", 99.1, 99.4, range(100, 103)) + rows("constant 0.05", 99.9, 99.9)
    assert ablation.best_rate(found) == 0.015


def test_each_line_is_compared_with_the_one_above():
    readings = ablation.readings(ROWS, RECIPE, "accuracy")
    assert [values[1] for values in readings.values()] == pytest.approx([99.01, 99.21, 99.31, 99.41, 99.51, 99.71])
    found = ablation.comparisons(ROWS, RECIPE)
    assert list(found["accuracy"]) == list(ablation.LINES)[1:]
    assert [own.mean for own in found["accuracy"].values()] == pytest.approx([0.2, 0.1, 0.1, 0.1, 0.2])
    assert [own.mean for own in found["loss"].values()] == pytest.approx([-0.002, -0.001, -0.001, -0.001, -0.002])
    figure = ablation.plot(found)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(ablation.LINES)[1:]
