"""What the tests of checkpoints share: a few images, a run that nothing interrupted, and one that was stopped."""

import pytest
from interrupted import run, run_until, start

import utils


@pytest.fixture(scope="module")
def tiny(mnist):
    """Five batches of 64 training images, and 100 test images."""
    train, test = mnist
    return utils.Split(train.images[:320], train.labels[:320]), utils.Split(test.images[:100], test.labels[:100])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.checkpoint"


@pytest.fixture(scope="module")
def uninterrupted(tiny):
    """The model and history of a run that nothing interrupted."""
    model = start(dropout=0.1)
    return model, run(model, tiny)


@pytest.fixture
def stopped(tiny, path):
    """The checkpoint of a run of two epochs that was stopped in the second."""
    run_until(2, start(), tiny, epochs=2, checkpoint=path)
    assert path.exists()
    return path
