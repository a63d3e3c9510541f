"""Fixtures of the reader's tests: the trained network, drawn digits, and photographs of them."""

import functools

import numpy as np
import pytest
from helpers import ROOT

import utils
from experiments import photo_robustness
from model import load_net
from reader.samples.synthetic_photos import draw_digit


@pytest.fixture(scope="session")
def net():
    return load_net()


@pytest.fixture(scope="session")
def five():
    """The ink of a five, float [140, 100] from 0 to 1, off the middle."""
    return draw_digit(5, (100, 140), 9, (5, 40, 90), np.random.default_rng(0))


@pytest.fixture(scope="session")
def photos():
    """A function that returns the photographs of a level of experiments/photo_robustness.py with their digits."""

    @functools.cache
    def make(condition, level):
        _, test = utils.load_mnist(ROOT / "data")
        return list(photo_robustness.make_photos(photo_robustness.CONDITIONS[condition][level], test))

    return make
