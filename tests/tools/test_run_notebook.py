"""The tool behind `make run` and `make save`, tried on notebooks of a few cells."""

import os
import signal
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT

# The tool with another folder for the repository, and Ctrl-C as in a terminal, however this test was started.
SCRIPT = """
import pathlib, signal, sys
from tools import run_notebook
signal.signal(signal.SIGINT, signal.default_int_handler)
run_notebook.ROOT = pathlib.Path(sys.argv.pop())
run_notebook.main()
"""
TRAINING = """
import os, pathlib
pathlib.Path("build").mkdir(exist_ok=True)
pathlib.Path("build", os.environ["MNIST_RUN"] + ".pt").write_text("weights")
print("Epoch 1 →", os.getpid(), flush=True)
"""
FIGURE = "import matplotlib.pyplot as plt\ndef plot_mistakes():\n    plt.plot([1, 2])\nplot_mistakes()"


def start(run, folder, *sources, **environment):
    cells = [nbformat.v4.new_code_cell(source) for source in (TRAINING, *sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "MNIST_6k.ipynb")
    environment = {name: os.environ[name] for name in os.environ.keys() - {"MNIST_EPOCHS"}} | environment
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, run, str(folder)], cwd=ROOT, env=environment, **options)


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_save_writes_notebook_weights_and_images_whatever_the_users_settings(tmp_path):
    printed, errors = start("save", tmp_path, FIGURE, MPLBACKEND="Agg", PYTHONIOENCODING="cp1252").communicate()
    assert printed.startswith("Epoch 1 ? "), errors  # cp1252 has no arrow
    files = files_in(tmp_path)
    assert files["mnist_6k.pt"] == b"weights"
    assert files["images/mistakes.png"].startswith(b"\x89PNG")
    saved = nbformat.reads(files["MNIST_6k.ipynb"].decode(), as_version=4)
    assert [cell.source for cell in saved.cells] == [TRAINING, FIGURE]
    assert saved.cells[0].outputs[0].text.startswith("Epoch 1 → ")


@pytest.mark.parametrize(
    ("run", "source", "settings"),
    [
        ("run", "raise ValueError('diverged')", {}),
        ("save", "raise ValueError('diverged')", {}),
        ("save", "print('no figure')", {}),
        ("save", FIGURE, {"MNIST_EPOCHS": "1"}),
    ],
)
def test_incomplete_run_replaces_nothing(tmp_path, run, source, settings):
    process = start(run, tmp_path, source, **settings)
    notebook = (tmp_path / "MNIST_6k.ipynb").read_bytes()
    process.communicate()
    assert process.returncode != 0
    files = files_in(tmp_path)
    assert files.keys() <= {"MNIST_6k.ipynb", f"build/{run}.pt"}
    assert files["MNIST_6k.ipynb"] == notebook


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_ctrl_c_stops_tool_and_kernel_and_replaces_nothing(tmp_path):
    process = start("run", tmp_path, "import time; time.sleep(600)")
    kernel = process.stdout.readline().split()[-1]
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in errors
    assert subprocess.run(["ps", "-p", kernel, "-o", "stat="], capture_output=True).stdout[:1] in (b"", b"Z")
    assert files_in(tmp_path).keys() == {"MNIST_6k.ipynb", "build/run.pt"}
