"""buildup.py: one change per configuration, each compared with the one before."""

import inspect
import itertools

import pandas as pd
import pytest

import utils
from experiments import buildup, stats


def make_rows(values):
    """Return rows in which only the epochs from 10 count, and seeds vary a little; losses are a hundredth of errors."""
    rows = []
    for number, (name, means) in enumerate(values.items()):
        for seed, epoch in itertools.product(range(3), range(1, 16)):
            row = {"configuration": name, "seed": seed, "epoch": epoch}
            for weights, mean, sign in zip(("live", "test"), means, (1, -1), strict=True):
                accuracy = mean + sign * (seed - 1) * (1 + number) / 100 if epoch >= 10 else 90
                row |= {f"{weights}_accuracy": accuracy, f"{weights}_loss": (100 - accuracy) / 100}
            rows.append(row)
    return pd.DataFrame(rows)


def test_configurations_change_one_thing_at_a_time():
    """SGD in place of Muon comes with its own learning rate: those two change together."""
    defaults = {name: p.default for name, p in inspect.signature(utils.fit).parameters.items()}
    names = ("make_optimizers", "lr", "schedule", "augment")
    recipes = [{name: (defaults | changes)[name] for name in names} for changes in buildup.RECIPES.values()]
    changes = [{n for n in names if after[n] != before[n]} for before, after in itertools.pairwise(recipes)]
    assert changes == [{"schedule"}, {"lr"}, {"augment"}, {"make_optimizers", "lr"}]


def test_comparisons_are_with_the_configuration_before():
    """Live weights up to augmentation, then the EMA weights."""
    values = {"constant": (99.0, 99.1), "scheduled": (99.2, 99.3), "higher": (99.3, 99.4), "augmented": (99.4, 99.5)}
    found = buildup.comparisons(make_rows(values | {"recipe": (99.0, 99.7)}))
    assert [name for name, *_ in found] == list(buildup.CONFIGURATIONS)[1:]
    assert [accuracy.mean for _, accuracy, _ in found] == pytest.approx([0.2, 0.1, 0.1, 0.1, 0.2])
    assert [loss.mean for *_, loss in found] == pytest.approx([-0.002, -0.001, -0.001, -0.001, -0.002])


def test_an_effect_is_reported_only_if_its_interval_excludes_zero(monkeypatch):
    """The p-values are corrected over both comparisons of both metrics."""
    below, wide = stats.Estimate(-0.1, -0.15, -0.05, 0.01), stats.Estimate(0.1, -1, 1.2, 0.8)
    found = [("x", below, wide), ("y", wide, wide._replace(low=0.01, p=0.02))]
    monkeypatch.setattr(buildup, "comparisons", lambda rows: found)
    assert buildup.table(rows=[]).splitlines()[2:] == [
        "| x | -0.100 (-0.150 to -0.050) | 0.0400 | +0.10000 (-1.00000 to +1.20000) | 1.0000 | accuracy lower |",
        "| y | +0.100 (-1.000 to +1.200) | 1.0000 | +0.10000 (+0.01000 to +1.20000) | 0.0600 | loss higher |",
    ]
