"""The notebook's first code cell on Colab: proved with a stand-in for Colab's module and a local address."""

import copy
import os
import re
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT

from tools import repo
from tools import run_notebook as tool

SETUP = next(cell.source for cell in nbformat.read(tool.NOTEBOOK, as_version=4).cells if cell.cell_type == "code")
ADDRESS = next(line for line in SETUP.splitlines() if line.startswith("REPOSITORY = "))
LOCAL = f'REPOSITORY = "{ROOT.as_uri()}"'


# What Colab's kernel has done before the first cell runs: imported its own module, and put the start folder first.
CUSTOMIZE = """
import os, sys
import google.colab
sys.path.insert(0, os.getcwd())
"""


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Make this process's children look like Colab; return an empty folder to start in."""
    package = tmp_path / "stub" / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (tmp_path / "stub" / "sitecustomize.py").write_text(CUSTOMIZE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "stub"))
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    monkeypatch.setenv("GIT_TERMINAL_PROMPT", "0")  # Colab has no terminal to ask at
    folder = tmp_path / "content"
    folder.mkdir()
    return folder


def git(folder, *arguments):
    """Run git in `folder`, as somebody."""
    somebody = ["-c", "user.name=Somebody", "-c", "user.email=some@body", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *somebody, *arguments], check=True, capture_output=True)


VERSION = "print('version {}')\n"


class Origin:
    """A bare repository in `folder` with the few files that tell it from others, and a working copy to change it in."""

    def __init__(self, folder):
        self.bare, self.work = folder / "origin.git", folder / "work"
        (self.work / "training").mkdir(parents=True)
        for name in ("training/trainer.py", "training/__init__.py", "model.py"):
            (self.work / name).touch()
        git(self.work, "init", "-b", "main")
        git(folder, "init", "--bare", "-b", "main", str(self.bare))
        git(self.work, "remote", "add", "origin", str(self.bare))
        self.release(1)

    def release(self, version):
        """Commit and push a `utils.py` that says which `version` it is."""
        (self.work / "utils.py").write_text(VERSION.format(version))
        git(self.work, "add", ".")
        git(self.work, "commit", "-m", f"version {version}")
        git(self.work, "push", "--force", "origin", "main")

    def setup(self):
        """Return the notebook's set-up cell with this repository's address."""
        return SETUP.replace(ADDRESS, f'REPOSITORY = "{self.bare.as_uri()}"')


@pytest.fixture
def origin(tmp_path):
    (tmp_path / "github").mkdir()
    return Origin(tmp_path / "github")


def run_setup(folder, source):
    after = "\nprint(os.getcwd()); import utils; print(utils.__file__)"
    return subprocess.run([sys.executable, "-c", source + after], cwd=folder, capture_output=True, text=True)


needs_git = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs this folder to be a git checkout")


def test_the_cell_is_short_and_says_its_address_once():
    assert len(SETUP.splitlines()) <= 14
    assert len(repo.owners(SETUP)) == 1


def test_without_colab_the_cell_does_nothing(tmp_path):
    done = subprocess.run([sys.executable, "-c", SETUP], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


def test_without_an_address_one_sentence_says_what_to_do(colab):
    unset = SETUP.replace(ADDRESS, 'REPOSITORY = "https://github.com/OWNER/mnist-6k"')
    done = run_setup(colab, unset)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("Error: In this cell, write for OWNER whose repository it is, and run it again.")
    assert list(colab.iterdir()) == []


@needs_git
def test_the_repository_is_fetched_and_entered_once(colab):
    source = SETUP.replace(ADDRESS, LOCAL)
    for _ in range(2):  # Run all twice: the second time the folder is there already
        done = run_setup(colab, source)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == str(colab / "mnist-6k" / "utils.py")
    assert [path.name for path in colab.iterdir()] == ["mnist-6k"]


def expect_version(folder, source, version):
    done = run_setup(folder, source)
    assert done.returncode == 0, done.stderr
    expected = [str(folder / "mnist-6k"), f"version {version}", str(folder / "mnist-6k" / "utils.py")]
    assert done.stdout.splitlines() == expected


def test_run_all_again_in_the_same_kernel_stays_where_it_is(colab, origin):
    expect_version(colab, f"{origin.setup()}\n{origin.setup()}", 1)
    assert not (colab / "mnist-6k" / "mnist-6k").exists()


def test_an_old_copy_is_updated_and_keeps_what_was_made_in_it(colab, origin):
    expect_version(colab, origin.setup(), 1)
    kept = colab / "mnist-6k" / "build" / "notebook-15-epochs.checkpoint"
    kept.parent.mkdir()
    kept.touch()
    for version in (2, 3):
        origin.release(version)
        expect_version(colab, origin.setup(), version)
    assert kept.exists()


def test_a_copy_is_updated_also_where_history_was_rewritten(colab, origin):
    expect_version(colab, origin.setup(), 1)
    git(origin.work, "commit", "--amend", "-m", "another beginning")
    origin.release(2)
    expect_version(colab, origin.setup(), 2)


def test_what_somebody_changed_in_the_copy_is_not_overwritten(colab, origin):
    expect_version(colab, origin.setup(), 1)
    mine = colab / "mnist-6k" / "utils.py"
    mine.write_text(VERSION.format("mine"))
    expect_version(colab, origin.setup(), "mine")  # nothing new there
    origin.release(2)
    done = run_setup(colab, origin.setup())
    assert done.returncode == 1
    assert "utils.py" in done.stderr
    assert "If that fails, first rename mnist-6k." in done.stderr
    assert mine.read_text() == VERSION.format("mine")


def cut_before_anything(origin, folder):
    folder.mkdir()


def cut_while_fetching(origin, folder):
    git(folder.parent, "init", str(folder))
    (folder / ".git" / "objects" / "pack" / "tmp_pack_1").write_bytes(b"half a pack")


def cut_before_the_files(origin, folder):
    git(folder.parent, "clone", "--no-checkout", origin.bare.as_uri(), str(folder))


@pytest.mark.parametrize("cut", [cut_before_anything, cut_while_fetching, cut_before_the_files])
def test_a_copy_cut_short_is_completed(colab, origin, cut):
    cut(origin, colab / "mnist-6k")
    expect_version(colab, origin.setup(), 1)


def cut_among_the_files(origin, folder):
    """Git was killed: some files are there, and its lock."""
    git(folder.parent, "clone", "--no-checkout", origin.bare.as_uri(), str(folder))
    (folder / ".git" / "index.lock").touch()
    (folder / "model.py").touch()


def somebody_else_s(origin, folder):
    (folder / "training").mkdir(parents=True)
    (folder / "utils.py").write_text("print('somebody else')\n")


@pytest.mark.parametrize("fault", [cut_among_the_files, somebody_else_s])
def test_a_folder_in_the_way_is_told_of_and_not_entered(colab, origin, fault):
    """Also the second time. Renamed, as the sentence says, it is not in the way."""
    folder = colab / "mnist-6k"
    fault(origin, folder)
    before = sorted(path.relative_to(folder) for path in folder.rglob("*") if ".git" not in path.parts)
    for _ in range(2):
        done = run_setup(colab, origin.setup())
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.rstrip().endswith("Run this cell again. If that fails, first rename mnist-6k.")
    assert sorted(path.relative_to(folder) for path in folder.rglob("*") if ".git" not in path.parts) == before
    folder.rename(colab / "old")
    expect_version(colab, origin.setup(), 1)


@pytest.mark.parametrize("strange", ["utils.py", "model.py"])
def test_a_stranger_s_module_beside_the_notebook_is_passed_over(colab, origin, strange):
    (colab / strange).write_text("raise SystemExit('a stranger')\n")
    (colab / "training").mkdir()
    (colab / "training" / "__init__.py").touch()
    expect_version(colab, f"{origin.setup()}\nimport model, training.trainer", 1)


def test_a_fetch_that_fails_says_why_and_what_to_do(colab, origin):
    source = origin.setup()
    origin.bare.rename(origin.bare.with_name("moved"))
    done = run_setup(colab, source)
    assert done.returncode == 1
    assert "origin.git' does not" in done.stderr  # git's own words
    assert done.stderr.rstrip().endswith("Run this cell again. If that fails, first rename mnist-6k.")
    origin.bare.with_name("moved").rename(origin.bare)
    expect_version(colab, source, 1)


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
    assert re.findall(r"pip install ([^\"]*)", SETUP) == ["torchsummary"]
    assert SETUP.count("-m pip") == 1


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
