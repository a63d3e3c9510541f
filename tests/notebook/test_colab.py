"""The notebook's first code cell on Colab: proved with a stand-in for Colab's module and a local address."""

import copy
import os
import re
import subprocess
import sys

import nbformat
import pytest
from shared import ROOT

from tools import notebook as tool
from tools import repo

SETUP = next(cell.source for cell in nbformat.read(tool.NOTEBOOK, as_version=4).cells if cell.cell_type == "code")
ADDRESS = next(line for line in SETUP.splitlines() if line.startswith("REPOSITORY = "))
LOCAL = f'REPOSITORY = "{ROOT.as_uri()}"'


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Make this process and its children look like Colab; return an empty folder to start in."""
    package = tmp_path / "stub" / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stub"))
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


def run_setup(folder, source):
    after = "\nprint(os.getcwd()); import utils; print(utils.__file__)"
    return subprocess.run([sys.executable, "-c", source + after], cwd=folder, capture_output=True, text=True)


needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs this folder to be a git checkout")


def test_without_colab_the_cell_does_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", SETUP], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_without_an_address_one_sentence_says_so(colab):
    unset = SETUP.replace(ADDRESS, 'REPOSITORY = "https://github.com/OWNER/mnist-6k"')
    done = run_setup(colab, unset)
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == (
        "RuntimeError: This repository has no address yet: run `make repo OWNER=name`."
    )
    assert list(colab.iterdir()) == []


@needs_git
def test_the_repository_is_fetched_and_entered_once(colab):
    source = SETUP.replace(ADDRESS, LOCAL)
    for _ in range(2):  # Run all twice: the second time the folder is there already
        done = run_setup(colab, source)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == str(colab / "mnist-6k" / "utils.py")
    assert [path.name for path in colab.iterdir()] == ["mnist-6k"]


@needs_git
def test_the_notebook_runs_alone_in_an_empty_folder(colab, monkeypatch):
    """One epoch; and its training cell, executed twice, trains a new network the second time."""
    monkeypatch.setenv("MNIST_EPOCHS", "1")
    monkeypatch.delenv("MNIST_RUN", raising=False)
    alone = nbformat.read(tool.NOTEBOOK, as_version=4)
    for cell in alone.cells:
        cell.source = cell.source.replace(ADDRESS, LOCAL)
    (number,) = (n for n, cell in enumerate(alone.cells) if "history = utils.fit(" in cell.source)
    alone.cells.insert(number + 1, copy.deepcopy(alone.cells[number]))
    tool.execute(alone, colab)
    printed = [tool.printed([cell]) for cell in alone.cells[number : number + 2]]
    first, again = (re.findall(r"^Test set: .*", text, flags=re.MULTILINE) for text in printed)
    assert first == again
    assert len(first) == 1
    assert tool.final_line(alone).startswith("Test accuracy after epoch 1, the last: ")
    assert [path.name for path in colab.iterdir()] == ["mnist-6k"]
    left = [path.name for path in (colab / "mnist-6k" / "build").iterdir()]
    assert left == ["notebook-1-epochs.pt"]  # and no checkpoint, since the run is complete


def test_the_cell_installs_torchsummary_and_nothing_else():
    installs = re.findall(r'"pip", "install", (.*)\]', SETUP)
    assert installs == ['"--quiet", "torchsummary"']
    assert SETUP.count("pip") == 1


# --- The address ---


def copies(folder):
    for name in repo.FILES:
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def test_every_file_names_the_same_owner():
    found = {name: repo.owners((ROOT / name).read_text(encoding="utf-8")) for name in repo.FILES}
    assert all(found.values())
    assert len({owner for owners in found.values() for owner in owners}) == 1


def test_make_repo_writes_the_owner_everywhere(tmp_path):
    copies(tmp_path)
    before = {name: len(repo.owners((ROOT / name).read_text(encoding="utf-8"))) for name in repo.FILES}
    repo.set_owner("some-body", tmp_path)
    for name in repo.FILES:
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert repo.owners(text) == ["some-body"] * before[name]
        assert "OWNER/mnist-6k" not in text
    nbformat.validate(nbformat.read(tmp_path / "MNIST_6k.ipynb", as_version=4))


@pytest.mark.parametrize("owner", ["", "a b", "-a", "a--b", "a/b", "a" * 40, "ä", "$(id)"])
def test_make_repo_refuses_what_is_no_name(tmp_path, owner):
    copies(tmp_path)
    with pytest.raises(ValueError, match="OWNER is"):
        repo.set_owner(owner, tmp_path)
    assert (tmp_path / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()


def test_make_repo_without_a_name_says_what_to_give():
    environment = {**os.environ, "OWNER": ""}
    done = subprocess.run(["make", "repo"], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.returncode != 0
    assert "make repo OWNER=name" in done.stderr
