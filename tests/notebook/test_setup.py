"""The notebook's set-up and parameters: in a checkout, alone (as in Colab or on Kaggle), and under pytest."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT

CELLS = [cell.source for cell in nbformat.read(ROOT / "MNIST_6k.ipynb", as_version=4).cells if cell.cell_type == "code"]
SETUP = CELLS[0]
PARAMETERS = next(source for source in CELLS if "MNIST_EPOCHS" in source)
SHOW = "import model; print(model.__file__)"
GIT = ["git", "-c", "user.name=Somebody", "-c", "user.email=some@body", "-c", "commit.gpgsign=false", "-C"]


def run(folder, *sources, **environment):
    """Run `sources` one after the other in `folder`, with a stub of torchsummary; return status, output and errors."""
    stubs = folder.parent / "stubs"
    stubs.mkdir(exist_ok=True)
    (stubs / "torchsummary.py").touch()
    (stubs / "model.py").write_text("raise SystemExit('another model.py')")
    environment = {**os.environ, "PYTHONPATH": str(stubs), **environment}
    command = [sys.executable, "-c", "\n".join(sources)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def origin(tmp_path):
    """A small git repository of January 2020, and the set-up cell with its address."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    folder = tmp_path / "origin" / "digits"
    folder.mkdir(parents=True)
    (folder / "model.py").touch()
    dates = {"GIT_AUTHOR_DATE": "2020-01-02T12:00:00", "GIT_COMMITTER_DATE": "2020-01-02T12:00:00"}
    for arguments in (["init"], ["add", "."], ["commit", "-m", "first"]):
        subprocess.run([*GIT, str(folder), *arguments], check=True, capture_output=True, env=os.environ | dates)
    return re.sub('(?<=REPOSITORY = ").*(?=")', folder.as_uri(), SETUP)


@pytest.fixture
def alone(tmp_path):
    (tmp_path / "alone").mkdir()
    return tmp_path / "alone"


def test_checkout_under_any_name_is_used_as_it_is(alone):
    (alone / "model.py").touch()
    assert run(alone, SETUP, SETUP, SHOW) == (0, f"{alone / 'model.py'}\n", "")
    assert not (alone / "mnist-6k").exists()


def test_notebook_alone_uses_a_clone_and_says_which(alone, origin):
    expected = rf"Using {re.escape(str(alone / 'digits'))}, commit [0-9a-f]{{7,}} of 2020-01-02\.(.*)\n"
    for note in ("", "Delete this folder to get the newest."):  # the second time in a new kernel
        status, printed, errors = run(alone, origin, origin, SHOW)
        assert (status, errors) == (0, "")
        assert re.fullmatch(expected + re.escape(f"{alone / 'digits' / 'model.py'}\n"), printed)[1].strip() == note


def test_notebook_alone_says_what_is_missing(alone, origin, tmp_path):
    (tmp_path / "origin").rename(tmp_path / "moved")
    assert "\nOSError: Could not download file://" in run(alone, origin)[2]
    unset = re.sub('(?<=REPOSITORY = ").*(?=")', "https://github.com/OWNER/mnist-6k", SETUP)
    assert "\nValueError: In this cell, replace OWNER by" in run(alone, unset)[2]
    assert list(alone.iterdir()) == []


def test_runs_resume_only_their_own_checkpoint(alone):
    show = "\nprint(EPOCHS, CHECKPOINT, WEIGHTS)"
    outside = "import os; os.environ.pop('PYTEST_VERSION', None)"
    settings = [{}, {"MNIST_RUN": "save"}, {"MNIST_EPOCHS": "2"}]
    runs = [run(alone, outside, PARAMETERS, show, **setting)[1].split() for setting in settings]
    assert [epochs for epochs, *_ in runs] == ["15", "15", "2"]
    assert len({checkpoint for _, checkpoint, _ in runs}) == 3
    assert run(alone, "import os", PARAMETERS, show)[1].split()[1:] == ["None", "build/test.pt"]
