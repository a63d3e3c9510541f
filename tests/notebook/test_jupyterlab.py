"""The notebook in JupyterLab: set-up and page run in a fresh kernel, and the page answers a stroke."""

import contextlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from helpers import ROOT, draw

from reader.samples.synthetic_photos import STROKES
from tools import run_notebook as tool


@pytest.fixture
def lab(tmp_path):
    """The address of JupyterLab in a folder with the notebook and what it imports."""
    for name in ("MNIST_6k.ipynb", "model.py", "utils.py", "mnist_6k.pt", "training", "deploy", "experiments"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--port-retries=0", "--IdentityProvider.token=", f"--notebook-dir={tmp_path}"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=", "--LabApp.collaborative=False"]
    with (tmp_path / "lab.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            until(lambda: answers(f"{address}/api"), "JupyterLab answers")
            yield address
        finally:
            server.terminate()


def answers(address):
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as reply:
        return reply.status == 200
    return False


def until(condition, what, seconds=120):
    """Return what `condition()` returns as soon as it is something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.3)
    raise TimeoutError(f"waited {seconds} seconds in vain until {what}")


def run_cell(browser, index):
    """Run the cell at `index` and wait for its end."""
    script = """
        const notebook = jupyterapp.shell.currentWidget.content;
        notebook.deselectAll();
        notebook.activeCellIndex = arguments[0];
        jupyterapp.commands.execute("notebook:run-cell");
    """
    browser.execute_script(script, index)
    state = "return jupyterapp.shell.currentWidget.content.widgets[arguments[0]].model.executionState"
    count = "return jupyterapp.shell.currentWidget.content.widgets[arguments[0]].model.executionCount"
    until(lambda: browser.execute_script(count, index), f"cell {index} has run")
    until(lambda: browser.execute_script(state, index) in (None, "idle"), f"cell {index} has ended")


def test_set_up_and_page_run_by_themselves_and_the_page_answers(browser, lab):
    cells = nbformat.read(tool.NOTEBOOK, as_version=4).cells
    set_up, page = (
        next(i for i, cell in enumerate(cells) if cell.cell_type == "code" and line in cell.source)
        for line in ("REPOSITORY = ", "page.Shown(")
    )
    browser.get(f"{lab}/lab/tree/MNIST_6k.ipynb")
    ready = """
        const panel = globalThis.jupyterapp?.shell.currentWidget;
        return panel?.content?.widgets?.length === arguments[0]
          && panel.sessionContext?.session?.kernel?.status === "idle";
    """
    until(lambda: browser.execute_script(ready, len(cells)), "the notebook is open and its kernel idle")
    browser.execute_script("return jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    counts = "return jupyterapp.shell.currentWidget.content.widgets.map((w) => w.model.executionCount ?? 0)"
    until(lambda: not any(browser.execute_script(counts)), "the outputs are gone")
    for index in (set_up, page):
        run_cell(browser, index)
    frames = "return [...document.querySelectorAll('iframe[title=\"Draw a digit\"]')]"
    (frame,) = until(lambda: browser.execute_script(frames), "the page is shown")
    browser.switch_to.frame(frame)
    try:
        draw(browser, STROKES[3])
        assert browser.find_element("id", "verdict").get_property("textContent").startswith("Classified as 3, ")
    finally:
        browser.switch_to.default_content()
        browser.get("about:blank")
