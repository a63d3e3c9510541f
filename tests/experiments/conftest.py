"""Shared by the tests of the experiments: small data in place of all of MNIST."""

import pytest
import torch

import utils


@pytest.fixture
def few(small, monkeypatch):
    """Let `load_mnist` return the small splits; afterwards, torch has as many threads as before."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(utils, "load_mnist", lambda *_: small)
    yield small
    torch.set_num_threads(threads)
