"""Execute MNIST_6k.ipynb and show its output on the terminal while it runs.

    python -m tools.run_notebook run     writes build/MNIST_6k.ipynb and build/MNIST_6k.html (`make run`)
    python -m tools.run_notebook save    replaces MNIST_6k.ipynb, mnist_6k.pt and two images of README (`make save`)

The notebook's cell tagged `parameters` is followed by other values: a checkpoint for each command, so that one does not
resume the other's run, and the number of epochs if the environment variable MNIST_EPOCHS is set. As a plugin of pytest
(`pytest -p tools.run_notebook --nbval-lax MNIST_6k.ipynb`) this module does the same for nbval.
"""

import argparse
import asyncio
import base64
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "MNIST_6k.ipynb"
IMAGES = {"curves.png": "plot_history(", "mistakes.png": "plot_mistakes("}  # file in images/: call in its cell


# --- Parameters ---


def choose_parameters(run):
    """Return the parameters of the notebook for the run named `run`: "run", "save" or "test".

    Raises ValueError if MNIST_EPOCHS is not a positive whole number, or is set for "save".
    """
    parameters = {"CHECKPOINT": f"build/{run}.checkpoint", "WEIGHTS": f"build/{run}.pt"}
    epochs = os.environ.get("MNIST_EPOCHS")
    if epochs is not None:
        if run == "save":
            raise ValueError("MNIST_EPOCHS is set, but the notebook is only saved with all its epochs: unset it")
        if not re.fullmatch(r"0*[1-9]\d*", epochs):
            raise ValueError(f"MNIST_EPOCHS is {epochs!r}; it must be a whole number of epochs, at least 1")
        parameters["EPOCHS"] = int(epochs)
        parameters["CHECKPOINT"] = f"build/{run}-{int(epochs)}-epochs.checkpoint"
    if run == "test":
        parameters["CHECKPOINT"] = None  # a test never resumes an earlier run
    return parameters


def set_parameters(cells, parameters):
    """Append assignments of `parameters` to the cell among `cells` that is tagged `parameters`, if there is one."""
    for cell in cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "".join(f"\n{name} = {value!r}" for name, value in parameters.items())


def pytest_collection_modifyitems(items):
    """Have nbval execute the notebook with the parameters of a test."""
    import pytest

    try:
        set_parameters([item.cell for item in items if hasattr(item, "cell")], choose_parameters("test"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


# --- Execution ---


def fit_line(text, columns):
    """Shorten a progress bar in `text` that is wider than `columns`: fewer decimals, then no blocks."""
    if len(text.strip()) >= columns:
        text = re.sub(r"(Loss=\d+\.\d{4})\d+", r"\1", text)
    if len(text.strip()) >= columns:
        text = re.sub(r"\|.{10}\|", "|", text)
    return text


class LiveClient(NotebookClient):
    """A notebook client that shows the output of cells on the terminal while they run.

    `stopped_by` is the number of the signal (Ctrl-C or SIGTERM) that stopped it and its kernel, otherwise 0.
    """

    stopped_by = 0

    def create_kernel_manager(self):
        """Use the kernel of this Python, even if the user has installed another one under the name python3."""
        manager = super().create_kernel_manager()
        manager.kernel_spec_manager = KernelSpecManager(kernel_dirs=[])
        return manager

    async def async_start_new_kernel(self, **options):
        """Start a kernel, and replace nbclient's signal handlers, which end in a traceback."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop(number):
            self.stopped_by = number
            task.cancel()  # nbclient then interrupts the kernel and shuts it down

        with contextlib.suppress(NotImplementedError, RuntimeError):  # Windows has no such handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop, number)
        await super().async_start_new_kernel(**options)

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream":
            text = msg["content"]["text"]
            if sys.stdout.isatty():
                columns = shutil.get_terminal_size().columns
                text = "".join(fit_line(line, columns) for line in re.split(r"(?<=[\r\n])", text))
            sys.stdout.write(text)
            sys.stdout.flush()
        return super().process_message(msg, cell, cell_index)


def execute(notebook, folder):
    """Execute `notebook` (a notebook node) in `folder`, in place.

    Raises CellExecutionError if a cell fails and DeadKernelError if the kernel is killed. After Ctrl-C or SIGTERM the
    kernel is shut down and SystemExit is raised with the status that a shell expects.
    """
    client = LiveClient(
        notebook,
        resources={"metadata": {"path": str(folder)}},
        kernel_name="python3",
        timeout=None,
        record_timing=False,
        coalesce_streams=True,
        extra_arguments=["--InlineBackend.figure_formats={'png'}"],  # regardless of the user's configuration
    )
    environment = {**os.environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    # The kernel's own output is kept out of sight. It has no terminal, whose width would cut progress bars.
    with tempfile.TemporaryFile() as log:
        try:
            client.execute(stdout=log, stderr=log, env=environment)
        except (DeadKernelError, asyncio.CancelledError):
            if client.stopped_by:
                print("\nStopped. The same command resumes after the last complete epoch.", file=sys.stderr)
                sys.exit(128 + client.stopped_by)
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":  # tqdm pads a line that became shorter
                output.text = re.sub(r" +$", "", output.text, flags=re.MULTILINE)


# --- Results ---


def printed(cells):
    """Return all the text that `cells` printed, as one string."""
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def image(notebook, call):
    """Return the PNG, as bytes, of the first cell that contains `call`. Raises ValueError if there is none."""
    for cell in notebook.cells:
        if cell.cell_type == "code" and call in cell.source:
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    return base64.b64decode(output.data["image/png"])
    raise ValueError(f"{NOTEBOOK.name} has no figure of {call}) in its output, so nothing was replaced")


def replace(path, content):
    """Write `content`, bytes, to the file `path` atomically."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def main():
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a terminal or pipe that is not UTF-8
    parser = argparse.ArgumentParser(description="Execute MNIST_6k.ipynb and show its output while it runs.")
    parser.add_argument("run", choices=["run", "save"])
    run = parser.parse_args().run
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    sources = [cell.source for cell in notebook.cells]
    try:
        parameters = choose_parameters(run)
        set_parameters(notebook.cells, parameters)
        execute(notebook, ROOT)
        files = {}  # everything is collected before any file is replaced
        if run == "save":
            for cell, source in zip(notebook.cells, sources, strict=True):
                cell.source = source  # without the parameters of this run
            files = {ROOT / "images" / name: image(notebook, call) for name, call in IMAGES.items()}
            files[ROOT / "mnist_6k.pt"] = (ROOT / parameters["WEIGHTS"]).read_bytes()
            report = NOTEBOOK
        else:
            report = ROOT / "build" / "MNIST_6k.html"
            files[report] = HTMLExporter().from_notebook_node(notebook)[0].encode()
        files[report.with_suffix(".ipynb")] = nbformat.writes(notebook).encode() + b"\n"
    except CellExecutionError as error:
        sys.exit(f"\n{NOTEBOOK.name} stopped at a cell that failed:\n{error}")
    except DeadKernelError:
        sys.exit(f"\nThe kernel of {NOTEBOOK.name} was killed. The same command resumes after the last complete epoch.")
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    for path, content in files.items():
        replace(path, content)
    last = re.findall(r"^Test set: .*$", printed(notebook.cells), flags=re.MULTILINE)[-1:]
    print("\n" + "\n".join([*last, f"The report is {report.relative_to(ROOT)}"]))


if __name__ == "__main__":
    main()
