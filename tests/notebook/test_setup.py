"""The notebook's set-up cell, on a stand-in for Colab and elsewhere, in the presence of other modules of our names."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT

SETUP = next(c.source for c in nbformat.read(ROOT / "MNIST_6k.ipynb", as_version=4).cells if c.cell_type == "code")
ADDRESS = next(line for line in SETUP.splitlines() if line.startswith("REPOSITORY = "))
SHOW = "import os, utils, model, training; print(os.getcwd(), utils.__file__, model.__file__, training.__path__[0])"

# Like a kernel: the folder of the notebook comes after PYTHONPATH.
KERNEL = """
import sys
from IPython.core.interactiveshell import InteractiveShell
sys.path.remove("")
sys.path.append("")
shell = InteractiveShell.instance()
for source in sys.argv[1:]:
    shell.run_cell(source).raise_error()
"""


def run(folder, *sources, paths=(), **environment):
    """Run `sources` as cells of one kernel in `folder`; return its exit status and everything printed."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "PIP_NO_INDEX": "1", **environment}
    command = [sys.executable, "-c", KERNEL, *sources]
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )
    return done.returncode, done.stdout


def write_modules(folder):
    """Write modules of our names into `folder`."""
    (folder / "training").mkdir(parents=True)
    for name in ("utils.py", "model.py", "training/__init__.py"):
        (folder / name).touch()


def expected(folder):
    return f"{folder} {folder / 'utils.py'} {folder / 'model.py'} {folder / 'training'}"


@pytest.fixture
def stranger(tmp_path):
    """A folder with modules of our names that are not ours."""
    write_modules(tmp_path / "stranger")
    return tmp_path / "stranger"


@pytest.fixture
def checkout(tmp_path):
    write_modules(tmp_path / "checkout")
    return tmp_path / "checkout"


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """An empty folder to start in; children of this process that have `stubs` in their path take it for Colab's."""
    (tmp_path / "stubs" / "google" / "colab").mkdir(parents=True)
    (tmp_path / "stubs" / "google" / "colab" / "__init__.py").touch()
    (tmp_path / "stubs" / "sitecustomize.py").write_text("import google.colab")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    (tmp_path / "content").mkdir()
    return tmp_path / "content"


@pytest.fixture
def origin(tmp_path):
    """The set-up cell with the address of a small git repository."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    write_modules(tmp_path / "origin")
    somebody = ["-c", "user.name=Somebody", "-c", "user.email=some@body", "-c", "commit.gpgsign=false"]
    for arguments in (["init"], ["add", "."], [*somebody, "commit", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path / "origin"), *arguments], check=True, capture_output=True)
    return SETUP.replace(ADDRESS, f'REPOSITORY = "{(tmp_path / "origin").as_uri()}"')


def test_setup_puts_its_own_folder_first(checkout, stranger):
    status, printed = run(checkout, SETUP, SHOW, SETUP, paths=[stranger])  # again, when our own are imported
    assert (status, printed.strip()) == (0, expected(checkout))


def test_setup_reports_a_foreign_module_that_is_imported_already(checkout, stranger):
    status, printed = run(checkout, "import utils", SETUP, paths=[stranger])
    assert status != 0
    assert f"Another module named utils was imported, from {stranger / 'utils.py'}." in printed


def test_setup_on_colab_clones_and_enters_the_repository_once(colab, origin, stranger):
    (colab / "utils.py").write_text("raise SystemExit('not ours')")
    for _ in range(2):  # again in the same kernel, and again in another
        status, printed = run(colab, origin, origin, SHOW, paths=[colab.parent / "stubs", stranger])
        assert status == 0, printed
        assert printed.splitlines()[-1] == expected(colab / "mnist-6k")
    assert not (colab / "mnist-6k" / "mnist-6k").exists()


def test_setup_on_colab_stops_if_the_repository_cannot_be_cloned(colab, origin, tmp_path):
    (tmp_path / "origin").rename(tmp_path / "moved")
    status, printed = run(colab, origin, paths=[tmp_path / "stubs"])
    assert status != 0
    assert "does not" in printed  # git's own message
    assert "No such file or directory: 'mnist-6k'" in printed


def test_setup_on_colab_without_an_address_says_what_to_do(colab, tmp_path):
    unset = SETUP.replace(ADDRESS, 'REPOSITORY = "https://github.com/OWNER/mnist-6k"')
    status, printed = run(colab, unset, paths=[tmp_path / "stubs"])
    assert status != 0
    assert "In this cell, replace OWNER by the name of the repository's owner" in printed
    assert list(colab.iterdir()) == []


def test_setup_never_installs_pytorch():
    (options,) = (line.split("pip install ")[1] for line in SETUP.splitlines() if "pip" in line)
    assert options == "--quiet --no-deps torchsummary"
