"""The notebook as it is saved: executed, clean, in the reference's format, and true to the code."""

import inspect
import os
import re

import nbformat
import pytest
import torch

import utils
from experiments import runner as study
from experiments import schedule_length as budget
from experiments import seeds
from model import Net
from tools import run_notebook as tool
from training.optimizers import Muon

EPOCH = re.compile(
    r"EPOCH: (\d+)\n"
    r"Loss=\d+\.\d+(?:e-\d+)? Batch_id=468 Accuracy=(\d+\.\d\d): 100%\|██████████\| 469/469 "
    r"\[\d\d:\d\d<00:00, +\d+\.\d\d(?:it/s|s/it)\]\n"
    r"Test set: Average loss: (\d+\.\d{4}), Accuracy: (\d+)/10000 \((\d+\.\d\d)%\)\n"
)


@pytest.fixture(scope="module")
def saved():
    return nbformat.read(tool.NOTEBOOK, as_version=4)


@pytest.fixture(scope="module")
def code(saved):
    return [cell for cell in saved.cells if cell.cell_type == "code"]


# How the cell begins that trains.
TRAINING = "utils.set_seed(SEED)\nmodel = Net()\nhistory = utils.fit("


def output_of(code, start):
    """Return the text printed by the one cell whose source starts with `start`."""
    (cell,) = (cell for cell in code if cell.source.startswith(start))
    return tool.printed([cell])


def figures(code):
    return [
        output.data["image/png"] for cell in code for output in cell.outputs if "image/png" in output.get("data", {})
    ]


def test_it_is_valid_and_below_its_size(saved):
    nbformat.validate(saved)
    assert tool.NOTEBOOK.stat().st_size < 1_500_000


def test_it_was_executed_from_top_to_bottom(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_its_outputs_are_clean(code):
    for cell in code:
        for output in cell.outputs:
            assert output.output_type in {"stream", "execute_result"}
            assert output.get("name", "stdout") == "stdout"
            assert not [kind for kind in output.get("data", {}) if "widget" in kind]
            assert "\r" not in output.get("text", "")
        assert not re.search(r"(?<![\w.])/(home|root|tmp|usr|Users|content|work)/", tool.printed([cell]) + cell.source)


def test_it_holds_no_widget_state_and_no_time_stamps(saved):
    assert set(saved.metadata) == {"kernelspec", "language_info", "accelerator", "colab"}
    assert all(not cell.metadata for cell in saved.cells)


def test_its_log_is_fifteen_epochs_in_the_reference_format(code):
    log = output_of(code, TRAINING)
    epochs = EPOCH.findall(log)
    assert [int(epoch[0]) for epoch in epochs] == list(range(1, 16))
    assert EPOCH.sub("", log).strip() == ""
    for *_, correct, percent in epochs:
        assert percent == f"{int(correct) / 100:.2f}"


def test_the_claim_holds_in_the_saved_run(code):
    accuracies = [float(epoch[4]) for epoch in EPOCH.findall(output_of(code, TRAINING))]
    assert max(accuracies[: utils.TARGET_EPOCH]) > 100 * utils.TARGET_ACCURACY
    verdict = output_of(code, "parameters = ")
    first = next(epoch for epoch, accuracy in enumerate(accuracies, start=1) if accuracy > 100 * utils.TARGET_ACCURACY)
    assert f"6,456 parameters, above 99.4% for the first time in epoch {first}." in verdict
    assert f"Test accuracy after epoch 15, the last: {accuracies[-1]:.2f}%" in verdict


def test_what_it_says_of_training_and_test_accuracy_is_so(code, saved):
    bars = re.findall(r"Accuracy=(\d+\.\d\d): 100%", output_of(code, TRAINING))
    tests = [epoch[4] for epoch in EPOCH.findall(output_of(code, TRAINING))]
    below = [float(training) < float(test) for training, test in zip(bars, tests, strict=True)]
    assert any("For most of the run training accuracy stays below test accuracy" in c.source for c in saved.cells)
    assert any("Towards the end training accuracy catches up." in c.source for c in saved.cells)
    assert all(below[:10])
    assert not all(below)


def test_the_claim_is_asserted_not_only_printed(code):
    (cell,) = (cell for cell in code if cell.source.startswith("parameters = "))
    assert cell.source.count("assert ") == 3


def test_facts_and_table_are_checked_by_nbval(code):
    checked = [cell.source for cell in code if "# NBVAL_CHECK_OUTPUT" in cell.source]
    assert len(checked) == 2
    assert "summary(Net()" in checked[1]


def test_every_plot_is_in_it_once(code):
    plots = [f"utils.{name}(" for name in dir(utils) if name.startswith("plot_")]
    plots += ["seeds.plot(", "budget.plot(", "final.plot(", "reliability.plot(", "picture.plot_reading("]
    source = "\n".join(cell.source for cell in code)
    assert [plot for plot in plots if source.count(plot) != 1] == []
    assert len(figures(code)) == len(plots)


@pytest.mark.parametrize("path", tool.PICTURES, ids=lambda path: path.stem)
def test_the_picture_in_the_readme_is_the_one_in_the_notebook(saved, path):
    assert path.read_bytes() == tool.picture(saved, tool.PICTURES[path])
    assert f"(images/{path.name})" in (tool.ROOT / "README.md").read_text(encoding="utf-8")


def test_the_recipe_it_tells_is_the_recipe_it_uses(saved):
    (table,) = (cell.source for cell in saved.cells if cell.source.startswith("## The recipe"))
    fit = {name: p.default for name, p in inspect.signature(utils.fit).parameters.items()}
    affine = {name: p.default for name, p in inspect.signature(utils.random_affines).parameters.items()}
    assert f"batches of {fit['batch_size']}" in table
    assert f"Adam for the rest | momentum {inspect.signature(Muon).parameters['momentum'].default}" in table
    assert f"peak {fit['lr']}, for Adam a fifteenth of it" in table
    assert f"exponential moving average (EMA), {fit['averaging']} a step" in table
    assert (
        "rotate, shift, scale and shear each image by chance | up to "
        f"±{affine['degrees']:g}°, ±{100 * affine['shift']:g} %, ±{100 * affine['scale']:g} %, ±{affine['shear']:g}°"
    ) in table
    source = "".join(cell.source for cell in saved.cells)
    assert f"{fit['lr']} * utils.one_cycle(steps)" in source
    assert (fit["optimizers"], fit["augment"]) == (utils.muon_and_adam, utils.random_affines)
    assert fit["epochs"] == 15


def test_the_seeds_it_tells_are_those_of_the_csv(code):
    runs = seeds.accuracies(study.read(seeds.CSV))
    assert output_of(code, "from experiments import seeds").strip() == seeds.tell(seeds.summarise(runs))


def test_the_committed_weights_are_those_of_the_saved_run(code, mnist, device):
    """Up to rounding: elsewhere, an image or two whose best logits are nearly equal may be classified otherwise."""
    model = Net()
    model.load_state_dict(torch.load(tool.WEIGHTS, weights_only=True))
    loss, accuracy = utils.evaluate(model.to(device), mnist[1])
    *_, last_loss, correct, _ = EPOCH.findall(output_of(code, TRAINING))[-1]
    assert 10_000 * accuracy == pytest.approx(int(correct), abs=2)
    assert loss == pytest.approx(float(last_loss), abs=1e-4)


def test_a_part_of_the_epochs_is_never_saved(monkeypatch):
    monkeypatch.setenv("MNIST_EPOCHS", "1")
    monkeypatch.setattr("sys.argv", ["notebook.py", "save"])
    with pytest.raises(SystemExit, match="MNIST_EPOCHS is set"):
        tool.main()


def test_make_and_an_open_notebook_have_checkpoints_and_weights_of_their_own(saved, monkeypatch):
    (cell,) = (cell for cell in saved.cells if cell.source.startswith("import math"))
    files = []
    for run in (None, "build", "save", "test"):
        if run:
            monkeypatch.setenv("MNIST_RUN", run)
        names = {"os": os}
        exec(cell.source, names)
        files += [names["CHECKPOINT"], names["WEIGHTS"]]
    assert len(set(files)) == 8
    assert "build/save-15-epochs.pt" in files
    assert "MNIST_RUN=test $(BIN)/python -m pytest --nbval-lax" in (tool.ROOT / "Makefile").read_text(encoding="utf-8")


def test_the_epochs_that_it_tells_are_enough_by_the_budget(saved):
    table = budget.summarise(budget.read())
    by_mean, by_seeds = budget.fewest(table)
    text = " ".join("\n".join(cell.source for cell in saved.cells).split())
    assert f"The fewest epochs whose mean is at 99.4 % are {by_mean}, and" in text
    assert f"the fewest in which 95 % of the seeds are, {by_seeds}." in text
    assert f"epochs={by_mean})` is a choice" in text
