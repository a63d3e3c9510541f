"""other_networks.py and exercises.py: the networks have the sizes that their authors state; what the words say."""

import pandas as pd
import pytest

from experiments import exercises, other_networks, results


@pytest.mark.parametrize("parameters", other_networks.NETWORKS)
def test_networks_have_their_number_of_parameters(parameters):
    assert sum(p.numel() for p in other_networks.NETWORKS[parameters].make().parameters()) == parameters


def test_only_networks_whose_interval_excludes_zero_are_named(monkeypatch):
    """7,496 would differ by its own interval, -0.027 ± 0.024, but not by the simultaneous one, ± 0.029."""
    offsets = {6188: 0.0, other_networks.OURS: 0.0, 7496: -0.027, 9994: 0.5}
    rows = {(n, seed): 99 + offset + (seed % 2) / 10 for n, offset in offsets.items() for seed in range(36)}
    runs = pd.DataFrame({epoch: pd.Series(rows) for epoch in (5, 8, 10, 15)})
    monkeypatch.setattr(other_networks, "committed_runs", lambda: runs)
    assert other_networks.in_words()["10"].startswith("after epoch 10, 9,994 parameters by +0.500 (")


def test_exercises_are_compared_with_the_recipe_by_seed(monkeypatch):
    """The seeds differ by far more than the variants: unpaired, nothing would be significant."""
    values = {"the recipe": [99.0, 99.2, 99.4], "dropout": [98.9, 99.09, 99.31], "no augmentation": [99.1, 99.1, 99.4]}
    rows = [
        {"variant": v, "seed": s, "epoch": 6, "test_accuracy": a}
        for v, own in values.items()
        for s, a in enumerate(own)
    ]
    monkeypatch.setattr(results, "read", lambda name: pd.DataFrame(rows[::-1]))
    answers = exercises.answers()
    assert answers["dropout_minus"].startswith("-0.100 (-0.125 to -0.075)")
    assert answers["dropout_words"] == "significantly lower"
    assert answers["no_augmentation_words"] == "no significant difference"
    assert (answers["two_seeds"], answers["seeds"]) == ("99.00% and 99.20%", "3")
