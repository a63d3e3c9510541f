"""The saved notebook is complete, clean, in the format of the assignment, and consistent with the repository."""

import base64
import re

import nbformat
import pytest
import torch
from helpers import ROOT

import utils
from model import Net, load_net

EPOCH = re.compile(
    r"EPOCH: (\d+)\n"
    r"Loss=\d+\.\d+(?:e-\d+)? Batch_id=468 Accuracy=\d+\.\d\d: 100%\|██████████\| 469/469 "
    r"\[\d\d:\d\d<00:00, +\d+\.\d\d(?:it/s|s/it)\] *\n"
    r"Test set: Average loss: (\d+\.\d{4}), Accuracy: (\d+)/10000 \(\d+\.\d\d%\)\n"
)
SAVED = nbformat.read(ROOT / "MNIST_6k.ipynb", as_version=4)
CODE = [cell for cell in SAVED.cells if cell.cell_type == "code"]


def printed(cell):
    return "".join(output.get("text", "") for output in cell.outputs)


def figures_of(cell):
    return [base64.b64decode(o.data["image/png"]) for o in cell.outputs if "image/png" in o.get("data", {})]


def test_outputs_are_complete_and_clean():
    nbformat.validate(SAVED)
    for cell in CODE:
        assert {output.output_type for output in cell.outputs} <= {"stream", "execute_result", "display_data"}
        assert not [output for output in cell.outputs if output.get("name") == "stderr"]
        assert not re.search(r"(?<![\w.])/(home|root|tmp|usr|Users|content|work)/|\r", printed(cell) + cell.source)
        is_plot = re.match(r"(\w+\.)?plot(_\w+)?\(|figure$", cell.source.splitlines()[-1])
        assert figures_of(cell) or not is_plot, cell.source


def test_log_has_the_format_of_the_assignment_and_ends_with_the_committed_weights(mnist, device):
    (log,) = (printed(cell) for cell in CODE if "EPOCH: 1\n" in printed(cell))
    assert EPOCH.sub("", log).strip() == ""
    numbers, losses, correct = zip(*EPOCH.findall(log), strict=True)
    assert [int(number) for number in numbers] == list(range(1, 16))
    loss, accuracy = utils.evaluate(load_net().to(device), mnist[1])
    # On another processor, a few images with two nearly equal logits may change sides.
    assert 10_000 * accuracy == pytest.approx(int(correct[-1]), abs=2)
    assert loss == pytest.approx(float(losses[-1]), abs=1e-4)


def test_claim_is_checked_by_the_notebook_itself():
    """Also if Python skips `assert`."""
    (cell,) = (cell for cell in CODE if "utils.TARGET_ACCURACY" in cell.source)
    check = compile(f"{cell.source}\n{CODE[-1].source}", "cells", "exec", optimize=1)
    history = [{"epoch": epoch, "test_accuracy": 0.9941} for epoch in range(1, 16)]
    names = {"utils": utils, "model": Net(), "EPOCHS": 15, "history": history}
    exec(check, dict(names))
    exec(check, dict(names, history=history[:1], EPOCHS=1))
    missed = [row | {"test_accuracy": 0.994} for row in history]
    for wrong in ({"history": missed}, {"history": history[:14]}, {"model": torch.nn.Linear(2, 2)}):
        with pytest.raises(AssertionError):
            exec(check, names | wrong)


def test_image_of_the_readme_is_that_of_the_notebook():
    (figure,) = (figures_of(cell)[0] for cell in CODE if "plot_mistakes(" in cell.source)
    assert (ROOT / "images" / "mistakes.png").read_bytes() == figure
