"""What several test files share: the data, loaded once, and a small piece of it for quick training."""

import sys
from pathlib import Path

import pytest
import torch

import utils

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "experiments")]

# Two threads that wait for each other while another process holds a core are far slower than one that does not.
torch.set_num_threads(1)


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


@pytest.fixture
def raw(tmp_path):
    """A folder as `load_mnist` wants it, with the four archives: each a link to the committed one."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in utils.ARCHIVES:
        (folder / name).symlink_to(ROOT / "data" / "MNIST" / "raw" / name)
    return folder
