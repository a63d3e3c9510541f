"""What several test files share: the data, loaded once, and a browser."""

import os
import signal

import pytest
from helpers import ROOT

import utils
from web.browser import MISSING, has_chrome, open_chrome

# Tests send Ctrl-C. A shell lets what it starts in the background ignore that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.fixturenames:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def device():
    return utils.pick_device()


@pytest.fixture(scope="session")
def mnist(device):
    return utils.load_mnist(ROOT / "data", device)


@pytest.fixture(scope="session")
def small(mnist):
    """Ten batches of training images and 500 test images."""
    train, test = mnist
    return utils.Split(train.images[:1280], train.labels[:1280]), utils.Split(test.images[:500], test.labels[:500])


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, driven through Selenium. Without it, tests are skipped; in CI they fail."""
    if not has_chrome() and not os.environ.get("CI"):
        pytest.skip(MISSING)
    with open_chrome() as chrome:
        yield chrome
