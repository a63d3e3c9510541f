"""Fixtures of the reader's tests: the trained network, MNIST's test images, and a drawn five."""

import pytest
from drawings import ink_of

from model import load_net
from utils import Split


@pytest.fixture(scope="session")
def net():
    return load_net()


@pytest.fixture(scope="session")
def mnist_test(mnist):
    return Split(*(tensor.cpu() for tensor in mnist[1]))


@pytest.fixture(scope="session")
def five():
    return ink_of(5, (5, 40, 90), (100, 140), 9)
