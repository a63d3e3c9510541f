"""A study in a hurry: what all its tests share."""

import pytest
import torch

import utils


@pytest.fixture
def few(small, monkeypatch):
    """The small splits in place of all of MNIST; as many threads afterwards as before."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(utils, "load_mnist", lambda *_: small)
    yield small
    torch.set_num_threads(threads)
