"""other_networks.py: the networks have the sizes that their authors state, and train."""

import functools

import pytest

from experiments import other_networks, runner


@pytest.mark.parametrize("parameters", other_networks.NETWORKS)
def test_networks_have_their_number_of_parameters_and_train(few, monkeypatch, parameters):
    assert sum(p.numel() for p in other_networks.NETWORKS[parameters].make().parameters()) == parameters
    monkeypatch.setattr(runner, "train", functools.partial(runner.train, epochs=1))
    (row,) = other_networks.train_one({"parameters": parameters, "seed": 0})
    assert {*row, *other_networks.KEY_COLUMNS} == set(other_networks.COLUMNS)
    assert float(row["test_accuracy"]) > 10


def test_plot_shows_every_seed_and_every_authors_figure():
    found = other_networks.with_ours()
    (axes,) = other_networks.plot(found).axes
    heights = [list(dots.get_offsets()[:, 1]) for dots in axes.collections if len(dots.get_offsets())]
    assert [sorted(own.values()) for own in found.values()] == [own for own in heights if len(own) > 1]
