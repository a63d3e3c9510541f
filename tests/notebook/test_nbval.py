"""`pytest --nbval-lax` on a notebook."""

import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT

pytest.importorskip("nbval", reason="needs the package nbval")


def test_notebook_fails_if_a_cell_times_out_and_catches_the_interrupt(tmp_path):
    """nbval interrupts a cell that takes too long, and then expects all later cells to fail, the claim included."""
    training = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    pass"
    cells = [nbformat.v4.new_code_cell(source) for source in (training, "'the claim'")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebook.ipynb")
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "no:cacheprovider", "--nbval-lax"]
    command += ["--nbval-cell-timeout", "3", str(tmp_path / "notebook.ipynb")]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout
