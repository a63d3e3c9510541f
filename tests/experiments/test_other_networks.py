"""other_networks.py: the networks have the sizes that their authors state, and train."""

import functools

import pytest

from experiments import other_networks, runner


@pytest.mark.parametrize("parameters", other_networks.NETWORKS)
def test_networks_have_their_number_of_parameters_and_train(few, monkeypatch, parameters):
    assert sum(p.numel() for p in other_networks.NETWORKS[parameters].make().parameters()) == parameters
    monkeypatch.setattr(runner, "train", functools.partial(runner.train, epochs=1))
    (row,) = other_networks.train_one({"parameters": parameters, "seed": 0})
    assert float(row["test_accuracy"]) > 10
