"""Shared by the tests of the experiments: small data in place of all of MNIST."""

import pytest
import torch

import utils


@pytest.fixture(autouse=True)
def same_threads():
    """Give torch as many threads as before the test: studies train on one."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def few(small, monkeypatch):
    """Let `load_mnist` return the small splits."""
    monkeypatch.setattr(utils, "load_mnist", lambda *_: small)
    return small
