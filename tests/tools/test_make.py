"""The commands of the Makefile that do more than start one program."""

import os
import re
import shutil
import subprocess

import pytest
from helpers import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="needs make")
ADDRESSED = ("README.md", "MNIST_6k.ipynb", "CITATION.cff")


@pytest.fixture
def checkout(tmp_path):
    """A folder with the Makefile, the files that contain the address, and in place of .venv's Python a short script."""
    for name in ("Makefile", "requirements.lock", *ADDRESSED):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "ran $*"\ncase "$*" in $FAILS) exit 5;; esac\n')
    python.chmod(0o755)
    (tmp_path / ".venv" / "installed").touch()
    return tmp_path


def make(folder, *arguments, fails="nothing"):
    environment = {**os.environ, "FAILS": fails}
    return subprocess.run(["make", "-C", str(folder), *arguments], capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    ("target", "fails", "runs"), [("test", "-m pytest", 2), ("test", "*nbval*", 2), ("variations", "*numeric*", 5)]
)
def test_make_runs_every_check_and_fails_if_one_fails(checkout, target, fails, runs):
    assert make(checkout, target).returncode == 0
    done = make(checkout, target, fails=fails)
    assert (done.returncode != 0, done.stdout.count("\nran ")) == (True, runs)


def test_make_repo_writes_the_address_everywhere(checkout):
    for owner, name in (("some-body", "mnist-1"), ("body", "mnist-2")):  # and a fork of that
        assert make(checkout, "repo", f"OWNER={owner}", f"NAME={name}").returncode == 0
        texts = [(checkout / file).read_text("utf-8") for file in ADDRESSED]
        assert all(f"/{owner}/{name}" in text for text in texts)
        assert f"](https://{owner}.github.io/{name}/)" in texts[0]
        assert not [text for text in texts if re.search(r"mnist-6k\b(?!\.)|published:|web/draw\.html\)", text)]


def test_make_repo_changes_nothing_for_a_wrong_owner_or_an_unknown_address(checkout):
    before = [(checkout / file).read_bytes() for file in ADDRESSED[:2]]
    for owner in ("", "-a", "$$(id)", "a/b"):
        assert make(checkout, "repo", f"OWNER={owner}").returncode != 0
    (checkout / "CITATION.cff").write_text("repository-code: https://example.org/x/mnist-2")
    assert make(checkout, "repo", "OWNER=y").returncode != 0
    assert [(checkout / file).read_bytes() for file in ADDRESSED[:2]] == before
