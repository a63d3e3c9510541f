"""The notebook's set-up and parameters: alone (as in Colab or on Kaggle), in its clone, and under pytest."""

import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT

CELLS = [cell.source for cell in nbformat.read(ROOT / "MNIST_6k.ipynb", as_version=4).cells if cell.cell_type == "code"]
SETUP, PARAMETERS = CELLS[0], next(source for source in CELLS if "MNIST_EPOCHS" in source)
SHOW = "import model; print(model.__file__)"


def run(folder, *sources, **environment):
    """Run `sources` one after the other in `folder`; return everything printed. Another module named model exists."""
    (folder.parent / "model.py").write_text("raise SystemExit('another model.py')")
    environment = {**os.environ, "PYTHONPATH": str(folder.parent), **environment}
    like_a_kernel = "import sys; sys.path.append(sys.path.pop(0))"  # the current folder comes after PYTHONPATH
    command = [sys.executable, "-c", "\n".join([like_a_kernel, *sources])]
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.run(command, cwd=folder, env=environment, **output).stdout


def setup_from(address):
    return re.sub('(?<=REPOSITORY = ").*(?=")', address, SETUP)


@pytest.fixture
def alone(tmp_path):
    (tmp_path / "alone").mkdir()
    return tmp_path / "alone"


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_notebook_alone_uses_a_clone_and_says_which(alone, tmp_path):
    origin = tmp_path / "digits"
    origin.mkdir()
    (origin / "model.py").touch()
    somebody = ["-c", "user.name=Somebody", "-c", "user.email=some@body", "-c", "commit.gpgsign=false"]
    for arguments in (["init"], ["add", "."], [*somebody, "commit", "-m", "first"]):
        date = {"GIT_COMMITTER_DATE": "2020-01-02T12:00:00"}
        subprocess.run(["git", *arguments], cwd=origin, check=True, capture_output=True, env=os.environ | date)
    setup = setup_from(origin.as_uri())
    for note in ("", "Delete this folder to get the newest."):  # the second time in a new kernel
        first, second = run(alone, setup, setup, SHOW).splitlines()
        assert re.fullmatch(rf"Using .*digits, commit [0-9a-f]{{7,}} of 2020-01-02\. {note}", first)
        assert second == str(alone / "digits" / "model.py")


def test_notebook_alone_says_what_is_missing(alone, tmp_path):
    assert "\nOSError: Could not download file://" in run(alone, setup_from((tmp_path / "nowhere").as_uri()))
    assert "\nValueError: In this cell, replace OWNER by" in run(alone, setup_from("https://github.com/OWNER/mnist-6k"))


def test_runs_resume_only_their_own_checkpoint(alone):
    outside, show = "import os; os.environ.pop('PYTEST_VERSION', None)", "print(EPOCHS, CHECKPOINT)"
    settings = [{}, {"MNIST_RUN": "save"}, {"MNIST_EPOCHS": "2"}]
    runs = [run(alone, outside, PARAMETERS, show, **setting).split() for setting in settings]
    assert [epochs for epochs, _ in runs] == ["15", "15", "2"]
    assert len({checkpoint for _, checkpoint in runs}) == 3
    assert run(alone, "import os", PARAMETERS, show).split()[1] == "None"  # under pytest
