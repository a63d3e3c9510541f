"""buildup.py: one change per configuration, each compared with the one before."""

import functools
import inspect
import itertools

import pandas as pd
import pytest
import torch

import utils
from experiments import buildup, runner, stats

VALUES = {  # runs → accuracy of the live weights, and of the EMA weights
    "constant": (99.0, 99.1),
    "scheduled": (99.2, 99.3),
    "higher": (99.3, 99.4),
    "augmented": (99.4, 99.5),
    "recipe": (99.0, 99.7),
}


def make_rows(values):
    """Return rows in which only the epochs from 10 count, and seeds vary a little; losses are a hundredth of errors."""
    rows = []
    for number, (name, means) in enumerate(values.items()):
        for seed, epoch in itertools.product(range(3), range(1, 16)):
            row = {"configuration": name, "seed": seed, "epoch": epoch}
            for weights, mean in zip(("live", "test"), means, strict=True):
                accuracy = mean + (seed - 1) * (1 + number) / 100 if epoch >= 10 else 90
                row |= {f"{weights}_accuracy": accuracy, f"{weights}_loss": (100 - accuracy) / 100}
            rows.append(row)
    return pd.DataFrame(rows)


def test_recipes_change_one_thing_at_a_time():
    """SGD in place of Muon comes with its own learning rate: those two change together."""
    defaults = {name: p.default for name, p in inspect.signature(utils.fit).parameters.items()}
    recipes = [
        {name: defaults[name] for name in ("make_optimizers", "lr", "schedule", "augment")} | changes
        for changes in buildup.recipes(0.01).values()
    ]
    changes = [{n for n in after if after[n] != before[n]} for before, after in itertools.pairwise(recipes)]
    assert changes == [{"schedule"}, {"lr"}, {"augment"}, {"make_optimizers", "lr"}]


@pytest.mark.parametrize("name", buildup.recipes(0.01))
def test_train_one_evaluates_both_weights(few, name, monkeypatch):
    monkeypatch.setattr(runner, "train", functools.partial(runner.train, epochs=1))
    (row,) = buildup.train_one({"configuration": name, "seed": 0}, rate=0.01)
    assert float(row["live_loss"]) != float(row["test_loss"])


class Forbidden:
    """Raises if anything is read from it."""

    def __getattribute__(self, name):
        raise AssertionError(f"the test set's {name} was read")

    def __iter__(self):
        raise AssertionError("the test set was read")


def test_the_rate_is_chosen_without_the_test_set(few, monkeypatch):
    monkeypatch.setattr(utils, "load_mnist", lambda *_: (few[0], Forbidden()))
    train, seen = runner.train, []
    monkeypatch.setattr(
        runner, "train", lambda splits, *args, **recipe: seen.append(splits) or train(splits, *args, **recipe, epochs=1)
    )
    (row,) = buildup.train_at_rate({"configuration": "constant 0.005", "seed": 0})
    assert "validation_accuracy" in row
    assert "test_accuracy" not in row
    ((training, held_out),) = seen
    together = torch.cat([training.images, held_out.images]).flatten(1).sum(dim=1).sort().values
    assert torch.equal(together, few[0].images.flatten(1).sum(dim=1).sort().values)


def test_best_rate_is_that_of_the_live_weights():
    rows = make_rows({"constant 0.005": (99.1, 99.9), "constant 0.015": (99.2, 99.3), "constant 0.05": (99.1, 99.4)})
    assert buildup.best_rate(rows) == 0.015


def test_comparisons_are_with_the_configuration_before():
    found = buildup.comparisons(make_rows(VALUES))
    assert list(found["accuracy"]) == list(buildup.CONFIGURATIONS)[1:]
    assert [own.mean for own in found["accuracy"].values()] == pytest.approx([0.2, 0.1, 0.1, 0.1, 0.2])
    assert [own.mean for own in found["loss"].values()] == pytest.approx([-0.002, -0.001, -0.001, -0.001, -0.002])


def test_an_effect_is_reported_only_if_its_interval_excludes_zero(monkeypatch):
    """The p-values are corrected over both comparisons of both metrics."""
    below, wide = stats.Estimate(-0.1, -0.15, -0.05, 0.01), stats.Estimate(0.1, -1, 1.2, 0.8)
    found = {"accuracy": {"x": below, "y": wide}, "loss": {"x": wide, "y": wide._replace(low=0.01, p=0.02)}}
    monkeypatch.setattr(buildup, "comparisons", lambda rows: found)
    assert buildup.table(rows=[]).splitlines()[2:] == [
        "| x | -0.100 (-0.150 to -0.050) | 0.0400 | +0.10000 (-1.00000 to +1.20000) | 1.0000 | accuracy lower |",
        "| y | +0.100 (-1.000 to +1.200) | 1.0000 | +0.10000 (+0.01000 to +1.20000) | 0.0600 | loss higher |",
    ]
