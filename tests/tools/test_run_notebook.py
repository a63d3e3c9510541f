"""The tool behind `make run`, `make save` and nbval, tried on notebooks of a few cells."""

import json
import os
import signal
import subprocess
import sys
import time
import types

import nbformat
import pytest
from helpers import ROOT

from tools import run_notebook

# The tool with another folder for the repository.
SCRIPT = """
import pathlib, signal, sys
from tools import run_notebook
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, however this test was started
run_notebook.ROOT = pathlib.Path(sys.argv.pop())
run_notebook.NOTEBOOK = run_notebook.ROOT / "MNIST_6k.ipynb"
run_notebook.main()
"""
PARAMETERS = 'EPOCHS = 15\nCHECKPOINT = WEIGHTS = "build/notebook"'
TRAINING = """
import pathlib, sys
from tqdm import tqdm
bar = tqdm(total=1, file=sys.stdout, desc="Loss=0.08407995849847794 Batch_id=468 Accuracy=88.64")
bar.update()
bar.close()
print("Test set: 1 → 2")
pathlib.Path(WEIGHTS).parent.mkdir(exist_ok=True)
pathlib.Path(WEIGHTS).write_text("weights")
"""
FIGURE = """
import matplotlib.pyplot as plt
def plot_{0}():
    figure, _ = plt.subplots()
    plt.close()
    return figure
plot_{0}()
"""


def write_notebook(folder, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "MNIST_6k.ipynb")


def start(run, folder, stdout=subprocess.PIPE, **environment):
    # With PYTEST_CURRENT_TEST, a kernel hides its terminal.
    names = os.environ.keys() - {"MNIST_EPOCHS", "PYTEST_CURRENT_TEST"}
    environment = {name: os.environ[name] for name in names} | environment
    options = {"stdout": stdout, "stderr": subprocess.PIPE, "text": True, "encoding": "latin-1"}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, run, str(folder)], cwd=ROOT, env=environment, **options)


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such terminals")
def test_save_does_not_depend_on_the_users_settings(tmp_path):
    """Backend, figure format, encoding, a terminal of 80 columns, and a kernel of the user's named python3."""
    import fcntl
    import pty
    import struct
    import termios

    checkout, settings = tmp_path / "checkout", tmp_path / "settings"
    (settings / "kernels" / "python3").mkdir(parents=True)
    broken = {"argv": ["no-such-program"], "display_name": "broken", "language": "python"}
    (settings / "kernels" / "python3" / "kernel.json").write_text(json.dumps(broken))
    (settings / "profile_default").mkdir()
    (settings / "profile_default" / "ipython_kernel_config.py").write_text("c.InlineBackend.figure_formats = {'svg'}")
    checkout.mkdir()
    write_notebook(checkout, PARAMETERS, TRAINING, FIGURE.format("history"), FIGURE.format("mistakes"))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    paths = {"JUPYTER_PATH": str(settings), "IPYTHONDIR": str(settings)}
    process = start("save", checkout, stdout=theirs, MPLBACKEND="Agg", PYTHONIOENCODING="cp1252", **paths)
    errors = process.communicate()[1]
    os.close(theirs)
    assert process.returncode == 0, errors
    shown = os.read(ours, 100_000).decode("cp1252")
    os.close(ours)
    assert "Accuracy=88.64: 100%| 1/1 [00:00<00:00," in shown
    assert shown.count("Test set: 1 ? 2") == 2  # while it ran, and at the end
    saved = nbformat.read(checkout / "MNIST_6k.ipynb", as_version=4)
    assert saved.cells[0].source == PARAMETERS  # not those of the run
    assert "Accuracy=88.64: 100%|██████████| 1/1 [00:00<00:00," in saved.cells[1].outputs[0].text
    files = files_in(checkout)
    assert files["mnist_6k.pt"] == b"weights"
    assert files["images/curves.png"][:4] == files["images/mistakes.png"][:4] == b"\x89PNG"


def test_save_replaces_nothing_if_a_figure_is_missing(tmp_path, monkeypatch):
    """As if the cells had run and drawn nothing."""
    write_notebook(tmp_path, PARAMETERS, FIGURE.format("history"))
    before = files_in(tmp_path)
    monkeypatch.setattr(run_notebook, "ROOT", tmp_path)
    monkeypatch.setattr(run_notebook, "NOTEBOOK", tmp_path / "MNIST_6k.ipynb")
    monkeypatch.setattr(run_notebook, "execute", lambda notebook, folder: None)
    monkeypatch.setattr(sys, "argv", ["run_notebook", "save"])
    with pytest.raises(SystemExit, match=r"no figure of plot_history\(\) in its output, so nothing was replaced"):
        run_notebook.main()
    assert files_in(tmp_path) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_run_stops_kernel_and_tool_on_ctrl_c(tmp_path):
    write_notebook(tmp_path, "import os, time\nprint('kernel', os.getpid(), flush=True)\ntime.sleep(600)")
    before = files_in(tmp_path)
    with start("run", tmp_path) as process:
        kernel = next(int(line.split()[1]) for line in process.stdout if line.startswith("kernel "))
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=120)[1]
    assert process.returncode == 128 + signal.SIGINT
    assert errors.strip().endswith("Stopped. The same command resumes after the last complete epoch.")
    assert "Traceback" not in errors
    until = time.monotonic() + 30
    while is_alive(kernel) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_alive(kernel)
    assert files_in(tmp_path) == before


def is_alive(process):
    """Return whether a process with this number runs, and is not a zombie."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True)
    return done.stdout.strip()[:1] not in ("", "Z")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_run_reports_a_killed_kernel_in_one_sentence(tmp_path):
    write_notebook(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    process = start("run", tmp_path)
    errors = process.communicate()[1]
    assert process.returncode == 1
    assert "The kernel of MNIST_6k.ipynb was killed. The same command resumes" in errors
    assert "Traceback" not in errors


def test_replace_is_atomic(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    run_notebook.replace(path, b"first")

    def write_half(new, content):
        with new.open("wb") as file:
            file.write(content[:2])
        raise KeyboardInterrupt

    monkeypatch.setattr(type(path), "write_bytes", write_half)
    with pytest.raises(KeyboardInterrupt):
        run_notebook.replace(path, b"second")
    assert files_in(tmp_path) == {"report.html": b"first"}


@pytest.mark.parametrize(
    ("columns", "loss", "gauge"),
    [(120, "0.08407995849847794", "|██████████| "), (95, "0.0840", "|██████████| "), (80, "0.0840", "| ")],
)
def test_fit_line_keeps_the_times_of_a_progress_bar(columns, loss, gauge):
    rest = "469/469 [00:09<00:00, 47.06it/s]"
    bar = f"Loss=0.08407995849847794 Batch_id=468 Accuracy=88.64: 100%|██████████| {rest}"
    shown = f"Loss={loss} Batch_id=468 Accuracy=88.64: 100%{gauge}{rest}"
    assert run_notebook.fit_line(f"\r{bar}", columns) == f"\r{shown}"
    assert len(shown) < columns


# --- Parameters ---


@pytest.mark.parametrize("epochs", ["", "0", "1.5"])
def test_choose_parameters_refuses_bad_epochs_by_name(monkeypatch, epochs):
    monkeypatch.setenv("MNIST_EPOCHS", epochs)
    with pytest.raises(ValueError, match=f"MNIST_EPOCHS is '{epochs}'; it must be a whole number"):
        run_notebook.choose_parameters("run")
    with pytest.raises(pytest.UsageError, match=f"MNIST_EPOCHS is '{epochs}'"):
        run_notebook.pytest_collection_modifyitems([])


def test_choose_parameters_saves_only_all_epochs(monkeypatch):
    monkeypatch.setenv("MNIST_EPOCHS", "1")
    with pytest.raises(ValueError, match="MNIST_EPOCHS is set"):
        run_notebook.choose_parameters("save")


def test_choose_parameters_gives_each_run_a_checkpoint_of_its_own(monkeypatch):
    chosen = []
    for epochs in (None, "1", "2"):
        if epochs:
            monkeypatch.setenv("MNIST_EPOCHS", epochs)
        chosen += [run_notebook.choose_parameters(run) for run in (("run",) if epochs else ("run", "save"))]
    assert len({parameters["CHECKPOINT"] for parameters in chosen}) == len(chosen)


def test_nbval_runs_the_notebook_with_the_parameters_of_a_test(monkeypatch):
    monkeypatch.setenv("MNIST_EPOCHS", "3")
    cell = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    run_notebook.pytest_collection_modifyitems([types.SimpleNamespace(cell=cell), types.SimpleNamespace()])
    names = {}
    exec(cell.source, names)
    assert (names["EPOCHS"], names["CHECKPOINT"], names["WEIGHTS"]) == (3, None, "build/test.pt")
