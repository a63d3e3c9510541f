"""Fixtures of the reader's tests: the trained network, MNIST's test images, and a drawn five."""

import pytest
from drawings import ink_of

import utils
from model import load_net


@pytest.fixture(scope="session")
def net():
    return load_net()


@pytest.fixture(scope="session")
def mnist_test(mnist):
    """MNIST's test images and their labels, on the CPU."""
    return utils.Split(*(tensor.cpu() for tensor in mnist[1]))


@pytest.fixture(scope="session")
def five():
    """The ink of a five, float [140, 100] from 0 to 1, off the middle."""
    return ink_of(5, (5, 40, 90), (100, 140), 9)
