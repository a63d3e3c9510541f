"""What the tests of checkpoints share: a few images, a run that nothing interrupted, and one that was stopped."""

import pytest
from interrupted import make_splits, run, run_until, start


@pytest.fixture(scope="module")
def tiny():
    return make_splits()


@pytest.fixture
def path(tmp_path):
    """A checkpoint in a folder that does not exist yet."""
    return tmp_path / "new" / "run.checkpoint"


@pytest.fixture(scope="module")
def uninterrupted(tiny):
    """The model and history of a run that nothing interrupted."""
    model = start(dropout=0.1)
    return model, run(model, tiny)


@pytest.fixture(scope="module")
def content(tiny, tmp_path_factory):
    """The checkpoint, as bytes, of a run of two epochs that was stopped in the second."""
    path = tmp_path_factory.mktemp("stopped") / "run.checkpoint"
    run_until(2, start(), tiny, epochs=2, checkpoint=path)
    return path.read_bytes()


@pytest.fixture
def stopped(content, path):
    """The file of such a checkpoint."""
    path.parent.mkdir()
    path.write_bytes(content)
    return path
