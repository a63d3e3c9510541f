"""The tool behind `make run` and `make save`, tried on notebooks of a few cells."""

import io
import json
import os
import signal
import subprocess
import sys

import nbformat
import pytest
from helpers import ROOT
from PIL import Image

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
FIGURE = "import matplotlib.pyplot as plt\ndef plot_{0}():\n    plt.plot([1, 2])\nplot_{0}()"


def start(run, folder, *sources, **environment):
    cells = [nbformat.v4.new_code_cell(source) for source in (TRAINING, *sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "MNIST_6k.ipynb")
    environment = {name: os.environ[name] for name in os.environ.keys() - {"MNIST_EPOCHS"}} | environment
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, run, str(folder)], cwd=ROOT, env=environment, **options)


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_save_does_not_depend_on_the_users_settings(tmp_path):
    """A backend of matplotlib's, an encoding without arrows, and a kernel named python3 that does not start."""
    (tmp_path / "user" / "kernels" / "python3").mkdir(parents=True)
    broken = {"argv": ["no-such-program"], "display_name": "broken", "language": "python"}
    (tmp_path / "user" / "kernels" / "python3" / "kernel.json").write_text(json.dumps(broken))
    (tmp_path / "checkout").mkdir()
    settings = {"JUPYTER_PATH": str(tmp_path / "user"), "MPLBACKEND": "Agg", "PYTHONIOENCODING": "cp1252"}
    cells = [FIGURE.format("history"), FIGURE.format("mistakes")]
    printed, errors = start("save", tmp_path / "checkout", *cells, **settings).communicate()
    assert printed.startswith("Epoch 1 ? "), errors
    files = files_in(tmp_path / "checkout")
    assert files["mnist_6k.pt"] == b"weights"
    assert {Image.open(io.BytesIO(files[f"images/{name}.png"])).mode for name in ("curves", "mistakes")} == {"P"}
    saved = nbformat.reads(files["MNIST_6k.ipynb"].decode(), as_version=4)
    assert [cell.source for cell in saved.cells] == [TRAINING, *cells]
    assert saved.cells[0].outputs[0].text.startswith("Epoch 1 → ")


@pytest.mark.parametrize(
    ("run", "fault"),
    [
        ("run", "raise ValueError('diverged')"),
        ("run", "import os; os._exit(9)"),  # as if killed for want of memory
        ("save", "raise ValueError('diverged')"),
        ("save", FIGURE.format("history")),  # the other figure is missing
    ],
)
def test_incomplete_run_replaces_nothing(tmp_path, run, fault):
    process = start(run, tmp_path, fault)
    process.communicate()
    assert process.returncode != 0
    assert files_in(tmp_path).keys() == {"MNIST_6k.ipynb", f"build/{run}.pt"}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_ctrl_c_stops_tool_and_kernel_and_replaces_nothing(tmp_path):
    process = start("run", tmp_path, "import time; time.sleep(600)")
    kernel = process.stdout.readline().split()[-1]
    process.send_signal(signal.SIGINT)
    errors = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + signal.SIGINT
    assert "The same command resumes after the last complete epoch." in errors
    assert "Traceback" not in errors
    assert subprocess.run(["ps", "-p", kernel, "-o", "stat="], capture_output=True).stdout[:1] in (b"", b"Z")
    assert files_in(tmp_path).keys() == {"MNIST_6k.ipynb", "build/run.pt"}


def test_save_refuses_fewer_epochs(tmp_path):
    assert start("save", tmp_path, MNIST_EPOCHS="1").communicate()[1].startswith("MNIST_EPOCHS is set")
