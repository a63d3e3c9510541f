"""Execute MNIST_6k.ipynb with its progress on the terminal: `make run` for a report, `make save` to commit it.

    python tools/run_notebook.py build    executes a copy and writes build/MNIST_6k.ipynb and build/MNIST_6k.html
    python tools/run_notebook.py save     executes the notebook in place; mnist_6k.pt and two of images/ are its

Each has a checkpoint of its own, so that neither goes on with the other's run. Either way the outputs are cleaned: one
line a progress bar, no time stamps, nothing of the machine it ran on.
"""

import argparse
import asyncio
import base64
import contextlib
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "MNIST_6k.ipynb"
BUILD = ROOT / "build"
PICTURES = {  # of README, and how the cell begins that draws each
    ROOT / "images" / "curves.png": "utils.plot_history(",
    ROOT / "images" / "mistakes.png": "utils.plot_mistakes(",
}
WEIGHTS = ROOT / "mnist_6k.pt"


class LiveClient(NotebookClient):
    """A notebook client that also shows on the terminal what the cells print, while they print it.

    `stopped_by` is the number of the signal, Ctrl-C's or SIGTERM, that ended it and its kernel, 0 where none did.
    """

    stopped_by = 0

    async def async_start_new_kernel(self, **options):
        """Start a kernel, and take over the signals that nbclient has just taken: its way ends in a traceback."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def stop(number):
            self.stopped_by = number
            task.cancel()  # nbclient then interrupts the kernel, and shuts it down

        with contextlib.suppress(RuntimeError):  # as nbclient does: Windows has no such handlers
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stop, number)
        await super().async_start_new_kernel(**options)

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream":
            sys.stdout.write(msg["content"]["text"])
            sys.stdout.flush()
        return super().process_message(msg, cell, cell_index)


def execute(notebook, folder):
    """Execute `notebook` (a notebook node) in `folder`, in place.

    Raises CellExecutionError where a cell fails, DeadKernelError where the kernel was killed, and SystemExit, with the
    status that a shell gives, where Ctrl-C or SIGTERM came; the kernel has ended then.
    """
    options = {"timeout": None, "record_timing": False, "coalesce_streams": True, "kernel_name": "python3"}
    client = LiveClient(notebook, resources={"metadata": {"path": str(folder)}}, **options)
    with tempfile.TemporaryFile() as complaints:  # of the kernel's own, not what cells print
        try:
            client.execute(stderr=complaints)
        except (DeadKernelError, asyncio.CancelledError):
            if client.stopped_by:
                print("\nStopped. The same command goes on after the last whole epoch.", file=sys.stderr)
                sys.exit(128 + client.stopped_by)
            complaints.seek(0)
            sys.stderr.write(complaints.read().decode(errors="replace"))
            raise
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream":  # a bar that gets shorter is padded with blanks
                output.text = re.sub(r" +$", "", output.text, flags=re.MULTILINE)


def printed(cells):
    """Return all the text that `cells` printed, as one string."""
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def final_line(notebook):
    """Return the line of `notebook`'s output that states the final test accuracy."""
    return re.findall(r"^Test accuracy after epoch .*$", printed(notebook.cells), flags=re.MULTILINE)[-1]


def picture(notebook, start):
    """Return the PNG, as bytes, of the cell of `notebook` whose source begins with `start`."""
    cell = next(cell for cell in notebook.cells if cell.source.startswith(start))
    return base64.b64decode(next(o.data["image/png"] for o in cell.outputs if "data" in o))


def as_bytes(notebook):
    """Return `notebook` as nbformat writes it into a file."""
    return nbformat.writes(notebook).encode() + b"\n"


def replace(path, content):
    """Make `content`, bytes, that of the file `path`: whole or not at all, also where this process is killed."""
    path.parent.mkdir(exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        new.write_bytes(content)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser(description="Execute MNIST_6k.ipynb with its progress on the terminal.")
    parser.add_argument("target", choices=["build", "save"])
    target = parser.parse_args().target
    if target == "save" and "MNIST_EPOCHS" in os.environ:
        sys.exit("MNIST_EPOCHS is set; the notebook is only saved with all its epochs: unset it")
    os.environ["MNIST_RUN"] = target
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    try:
        execute(notebook, ROOT)
    except CellExecutionError as error:
        sys.exit(f"\n{NOTEBOOK.name} stopped at a cell that failed:\n{error}")
    except DeadKernelError:
        sys.exit(f"\n{NOTEBOOK.name}: its kernel was killed. The same command goes on after the last whole epoch.")
    if target == "save":
        replace(NOTEBOOK, as_bytes(notebook))
        for path, start in PICTURES.items():
            replace(path, picture(notebook, start))
        replace(WEIGHTS, (BUILD / "save-15-epochs.pt").read_bytes())
        where = NOTEBOOK
    else:
        replace(BUILD / NOTEBOOK.name, as_bytes(notebook))
        where = (BUILD / NOTEBOOK.name).with_suffix(".html")
        replace(where, HTMLExporter().from_notebook_node(notebook)[0].encode())
    print(f"\n{final_line(notebook)}\nThe report is {where.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
