"""The commands of the Makefile that do more than start one program."""

import os
import shutil
import subprocess

import nbformat
import pytest
from helpers import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="needs make")


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile, and with a script in place of .venv's Python that prints how it is called."""
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ran $*"\ncase "$*" in *"$FAILS"*) exit 1;; esac\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / "installed").touch()
    return tmp_path


def make(folder, *arguments, **environment):
    environment = {"FAILS": "nothing", **os.environ, **environment}
    command = ["make", "-C", str(folder), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


@pytest.mark.parametrize("fails", ["nothing", "-m pytest", "--nbval-lax"])
def test_make_test_runs_tests_and_notebook_and_fails_if_either_fails(checkout, fails):
    done = make(checkout, "test", FAILS=fails)
    assert done.stdout.count("\nran -m pytest") == 2
    assert (done.returncode == 0) == (fails == "nothing")


@pytest.mark.parametrize("fails", ["nothing", "numeric"])
def test_make_variations_runs_all_settings_and_fails_if_one_fails(checkout, fails):
    done = make(checkout, "variations", FAILS=fails)
    assert done.stdout.count("\nran ") == done.stdout.count("\n===") == 7
    assert (done.returncode == 0) == (fails == "nothing")


def test_make_reports_a_missing_python(checkout):
    (checkout / ".venv" / "installed").unlink()
    done = make(checkout, "install", "PYTHON=no-such-python")
    assert done.returncode != 0
    assert "no-such-python was not found" in done.stdout
    assert "older" not in done.stdout


def test_make_repo_writes_the_owner_and_publishes_the_links(checkout):
    for name in ("README.md", "MNIST_6k.ipynb", "CITATION.cff"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, checkout)
    with (checkout / "README.md").open("a", encoding="utf-8") as readme:
        readme.write("<!-- published: [CI](https://github.com/OWNER/mnist-6k/actions) -->\n[Draw](web/draw.html)\n")
    for owner in ("some-body", "x"):  # and a fork of that
        done = make(checkout, "repo", f"OWNER={owner}")
        assert done.returncode == 0, done.stdout
        readme, notebook = ((checkout / name).read_text(encoding="utf-8") for name in ("README.md", "MNIST_6k.ipynb"))
        assert readme.endswith(
            f"\n[CI](https://github.com/{owner}/mnist-6k/actions)\n[Draw](https://{owner}.github.io/mnist-6k/)\n"
        )
        assert f'REPOSITORY = \\"https://github.com/{owner}/mnist-6k\\"' in notebook
        assert f"(https://colab.research.google.com/github/{owner}/mnist-6k/blob/main/MNIST_6k.ipynb)" in notebook
        assert not [word for word in ("OWNER/mnist-6k", "OWNER.github.io", "published:") if word in readme + notebook]
        nbformat.validate(nbformat.reads(notebook, as_version=4))


@pytest.mark.parametrize("owner", ["", "-a", "a" * 40, "$(id)", "a\nb/c"])
def test_make_repo_refuses_what_is_not_a_github_name(checkout, owner):
    shutil.copy(ROOT / "README.md", checkout)
    done = make(checkout, "repo", OWNER=owner)
    assert done.returncode != 0
    assert (checkout / "README.md").read_bytes() == (ROOT / "README.md").read_bytes()
