"""A test run that has checked nothing is never green."""

import os
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT


def run_pytest(*arguments, options=(), **environment):
    """Run pytest with the repository's settings; return its status and everything printed."""
    command = [sys.executable, *options, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_notebook_fails_if_a_cell_times_out_and_catches_the_interrupt(tmp_path):
    """nbval interrupts a cell that takes too long, and then expects all later cells to fail, the claim included."""
    training = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass"
    cells = [nbformat.v4.new_code_cell(source) for source in (training, "'the claim'")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebook.ipynb")
    status, printed = run_pytest("--nbval-lax", "--nbval-cell-timeout", "3", str(tmp_path / "notebook.ipynb"))
    assert status == pytest.ExitCode.TESTS_FAILED, printed


def test_python_without_assertions_is_refused():
    status, printed = run_pytest("tests/tools/test_verify.py", "-k", "nothing", options=["-O"])
    assert status == 1
    assert "assert statements are not executed" in printed


def test_missing_browser_fails_tests_in_ci():
    status, printed = run_pytest("tests/web", "-m", "browser", "--maxfail=1", PATH="", CI="true")
    assert status == pytest.ExitCode.TESTS_FAILED, printed
