"""`make run` stopped on its way: a sentence, the status that a shell expects, nothing left running or half-written."""

import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from helpers import ROOT

from tools import run_notebook as tool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

# The tool with a notebook of its own and another folder for what it builds.
SCRIPT = """
import pathlib, signal, sys
from tools import run_notebook as notebook
signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a prompt, however this test was started
notebook.ROOT = pathlib.Path(sys.argv.pop())
notebook.NOTEBOOK, notebook.BUILD = notebook.ROOT / "MNIST_6k.ipynb", notebook.ROOT / "build"
notebook.main()
"""

CELL = """
import os, time
print("kernel", os.getpid(), flush=True)
try:
    time.sleep(600)
except KeyboardInterrupt:
    print("put in order", flush=True)
"""


def write_notebook(folder, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "MNIST_6k.ipynb")


def is_alive(process):
    """Return whether there is a process of that number, and not only what is left of one."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("target", ["build", "save"])
def test_stopped_it_says_so_in_a_sentence_and_leaves_nothing(tmp_path, number, target):
    write_notebook(tmp_path, CELL, "print('the next cell')")
    before = (tmp_path / "MNIST_6k.ipynb").read_bytes()
    environment = {name: value for name, value in os.environ.items() if name != "MNIST_EPOCHS"}
    command = [sys.executable, "-c", SCRIPT, target, str(tmp_path)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **options) as process:
        try:
            kernel = next(int(line.split()[1]) for line in process.stdout if line.startswith("kernel "))
            process.send_signal(number)
            printed, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 128 + number
    assert errors.strip() == "Stopped. The same command goes on after the last whole epoch."
    assert "the next cell" not in printed
    until = time.monotonic() + 30
    while is_alive(kernel) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_alive(kernel)
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST_6k.ipynb"]
    assert (tmp_path / "MNIST_6k.ipynb").read_bytes() == before


def test_a_kernel_that_is_killed_is_told_of_in_a_sentence(tmp_path):
    write_notebook(tmp_path, "import os, signal\nos.write(2, b'last words')\nos.kill(os.getpid(), signal.SIGKILL)")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, "build", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert re.search(r"^MNIST_6k.ipynb: its kernel was killed\. The same command goes on", done.stderr, re.MULTILINE)
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["MNIST_6k.ipynb"]


@pytest.mark.parametrize("fails", ["write_bytes", "replace"])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch, fails):
    path = tmp_path / "build" / "report.html"
    tool.replace(path, b"first")

    def half(new, content):
        if fails == "write_bytes":
            with new.open("wb") as file:
                file.write(content[:2])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(path), fails, half)
        with pytest.raises(KeyboardInterrupt):
            tool.replace(path, b"second")
    assert path.read_bytes() == b"first"
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    tool.replace(path, b"second")
    assert path.read_bytes() == b"second"
