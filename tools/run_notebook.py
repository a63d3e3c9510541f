"""Execute MNIST_6k.ipynb and show its output on the terminal while it runs.

    python -m tools.run_notebook run     writes build/MNIST_6k.ipynb and build/MNIST_6k.html (`make run`)
    python -m tools.run_notebook save    replaces MNIST_6k.ipynb, mnist_6k.pt and images/mistakes.png (`make save`)

Files are written only after every cell has run without an error.
"""

import base64
import io
import os
import subprocess
import sys
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent


class LiveClient(NotebookClient):
    """A notebook client that prints what the cells print, while they run."""

    def process_message(self, msg, cell, cell_index):
        if msg["msg_type"] == "stream":
            print(msg["content"]["text"], end="", flush=True)
        return super().process_message(msg, cell, cell_index)


def execute(notebook, run):
    """Execute `notebook`, a notebook node, in place. `run`, "run" or "save", names its checkpoint and weights.

    Raises CellExecutionError if a cell fails, DeadKernelError if the kernel is killed, KeyboardInterrupt after Ctrl-C.
    """
    # The kernel of this Python with PNG figures, whatever the user has configured.
    manager = AsyncKernelManager(kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = LiveClient(notebook, km=manager, timeout=None, record_timing=False, coalesce_streams=True)
    client.extra_arguments = ["--InlineBackend.figure_formats={'png'}", "--log-level=ERROR"]
    client.shutdown_kernel = "immediate"
    environment = os.environ | {"MNIST_RUN": run, "MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    # The kernel gets no terminal: progress bars would be cut to its width.
    with client.setup_kernel(cwd=str(ROOT), env=environment, stdout=subprocess.DEVNULL, cleanup_kc=True):
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)


def shrink_figures(notebook):
    """Give every figure a palette of 256 colours: a third of the size, and no difference to the eye.

    Returns the figures, PNG as bytes, by the source of their cell.
    """
    figures = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("RGB")
                image.quantize(method=Image.Quantize.MAXCOVERAGE).save(file := io.BytesIO(), "png", optimize=True)
                output.data["image/png"] = base64.b64encode(file.getvalue()).decode()
                figures[cell.source] = file.getvalue()
    return figures


def main():
    if sys.argv[1:] not in (["run"], ["save"]):
        sys.exit(__doc__)
    run = sys.argv[1]
    if run == "save" and "MNIST_EPOCHS" in os.environ:
        sys.exit("MNIST_EPOCHS is set, but the notebook is only saved with all its epochs: unset it.")
    sys.stdout.reconfigure(errors="replace")  # a terminal or pipe that is not UTF-8
    notebook = nbformat.read(ROOT / "MNIST_6k.ipynb", as_version=4)
    try:
        execute(notebook, run)
    except (KeyboardInterrupt, DeadKernelError):
        print("\nStopped or killed. The same command resumes after the last complete epoch.", file=sys.stderr)
        sys.exit(130)
    except CellExecutionError as error:
        sys.exit(f"\n{error}")
    figures = shrink_figures(notebook)
    report = ROOT / ("MNIST_6k.ipynb" if run == "save" else "build/MNIST_6k.html")
    files = {report.with_suffix(".ipynb"): nbformat.writes(notebook).encode() + b"\n"}
    if run == "save":
        files[ROOT / "mnist_6k.pt"] = (ROOT / "build" / "save.pt").read_bytes()
        mistakes = next(png for source, png in figures.items() if "plot_mistakes(" in source)
        files[ROOT / "images" / "mistakes.png"] = mistakes
    else:
        files[report] = HTMLExporter().from_notebook_node(notebook)[0].encode()
    for path, content in files.items():
        path.parent.mkdir(exist_ok=True)
        new = path.with_name(f"{path.name}.new")
        new.write_bytes(content)
        new.replace(path)
    print(f"\nThe report is {report.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
