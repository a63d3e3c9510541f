"""A whole run of `fit`, the evaluation of its model, and what a caller's own code does."""

import contextlib
import re
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import make_net

import utils
from model import Net, load_net

BAR = r"Loss=\d+\.\d+(e-\d+)? Batch_id=9 Accuracy=\d+\.\d\d: 100%\|██████████\| 10/10 \[\d\d:\d\d<\d\d:\d\d, .+\]"
TEST_LINE = r"Test set: Average loss: \d+\.\d{4}, Accuracy: \d+/100 \(\d+\.\d\d%\)"


@pytest.fixture(scope="module")
def few(small):
    """Ten batches of 32 training images and 100 test images."""
    train, test = small
    return utils.Split(train.images[:320], train.labels[:320]), utils.Split(test.images[:100], test.labels[:100])


def fit(model, splits, **options):
    return utils.fit(model, *splits, **({"epochs": 2, "batch_size": 32} | options))


@pytest.fixture(scope="module")
def run(few):
    model = make_net()
    return model, fit(model, few, verbose=False)


def assert_same_weights(a, b):
    assert all(torch.equal(value, b.state_dict()[name]) for name, value in a.state_dict().items())


@pytest.mark.numeric
def test_evaluate_equals_a_plain_loop(few, device):
    model, test = make_net().to(device).eval(), few[1]
    logits = torch.cat([model(utils.normalize(image[None])) for image in test.images]).detach()
    torch.testing.assert_close(utils.compute_logits(model, test.images, batch_size=30), logits)
    loss, accuracy = utils.evaluate(model, test)
    assert loss == pytest.approx(F.cross_entropy(logits, test.labels).item(), rel=1e-4)
    assert accuracy == (logits.argmax(dim=1) == test.labels).sum().item() / 100


@pytest.mark.parametrize("broken", [False, True])
def test_compute_logits_and_plots_put_every_layer_back_into_its_mode(small, device, broken):
    """Also if the model raises an error. Some layers may be in evaluation mode on purpose."""
    model = make_net().to(device).train()
    model.parts.eval()
    if broken:
        model.digits[-1] = None
    modes = [module.training for module in model.modules()]
    with pytest.raises(TypeError) if broken else contextlib.nullcontext():
        assert not utils.compute_logits(model, small[1].images).requires_grad
    with pytest.raises(TypeError) if broken else contextlib.nullcontext():
        utils.plot_stages(model, small[1].images[0])
    assert [module.training for module in model.modules()] == modes
    assert model.edges[2].num_batches_tracked == 0


@pytest.mark.numeric
def test_history_has_one_row_per_epoch_and_the_model_is_that_of_the_last(run, few):
    """To within rounding: training may use another memory format, but `view(-1)` and safetensors need the usual one."""
    model, history = run
    for epoch, row in enumerate(history, start=1):
        assert row.keys() == {"epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"}
        assert row["epoch"] == epoch
        assert row["test_accuracy"] == round(100 * row["test_accuracy"]) / 100  # not rounded to float32 on the way
        assert row["train_accuracy"] in [count / 320 for count in range(321)]
    assert 0 < history[1]["train_loss"] < history[0]["train_loss"]
    assert 0.5 < history[1]["train_accuracy"] <= 1
    expected = (history[-1]["test_loss"], history[-1]["test_accuracy"])
    assert utils.evaluate(model, few[1]) == pytest.approx(expected, rel=1e-4)
    assert not model.training
    assert all(value.is_contiguous() for value in model.state_dict().values())


@pytest.mark.numeric
def test_numbers_of_numpy_give_the_same_weights_as_python_ones(run, few):
    """And the same seed gives the same weights, bit for bit."""
    model, history = run
    again = make_net()
    numbers = {"epochs": np.int64(2), "batch_size": np.int32(32), "seed": np.int64(0), "lr": np.float64(0.15)}
    repeated = fit(again, few, **numbers)
    assert_same_weights(again, model)
    assert [row["train_loss"] for row in repeated] == [row["train_loss"] for row in history]
    assert Net(np.float32(0.25)).edges[3].p == 0.25
    fit(again, few, seed=1)
    assert not torch.equal(next(again.parameters()), next(model.parameters()))


def test_log_has_the_form_of_the_assignment(few, capsys):
    fit(make_net(), few)
    printed = capsys.readouterr()
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in printed.out.split("\n")]
    expected = ["EPOCH: 1", BAR, TEST_LINE, "", "EPOCH: 2", BAR, TEST_LINE, "", ""]
    assert [line for line, form in zip(lines, expected, strict=True) if not re.fullmatch(form, line)] == []
    assert printed.err == ""


def test_ema_decay_of_zero_gives_the_live_weights(few):
    live, model = {}, make_net()
    fit(model, few, ema_decay=0, extra_metrics=lambda state: live.update(state.live_model.state_dict()))
    assert all(torch.equal(value, live[name]) for name, value in model.named_parameters())


def test_augment_is_called_once_per_epoch_for_every_image_and_used(few):
    drawn, used = [], []

    def augment(n, generator):
        drawn.append(utils.random_affines(n, generator=generator))
        return drawn[-1]

    fit(make_net(), few, augment=augment, extra_metrics=lambda state: used.append(state.affines.cpu().clone()))
    assert [*map(torch.equal, used, drawn)] == [True, True]
    assert not torch.equal(*drawn)


# --- What a caller's own code does ---


def test_fit_trains_the_same_in_any_mode_and_silently_if_asked(run, few, capsys):
    """Inference mode includes no_grad. A metric may put the model that is trained into another mode."""
    model = make_net()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            fit(model, few, verbose=False, extra_metrics=lambda state: state.live_model.eval() and None)
            assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_weights(model, run[0])
    assert capsys.readouterr() == ("", "")


def test_default_device_does_not_matter(run, few):
    """Tensors on the device called meta have no values, so a forgotten `device` ends in an error."""
    model = make_net()
    torch.set_default_device("meta")
    try:
        fit(model, few)
        utils.hold_out(few[0])
        utils.plot_stages(load_net().to(few[1].images.device), few[1].images[0])
        utils.plot_confusion(utils.compute_logits(model, few[1].images), few[1].labels)
    finally:
        torch.set_default_device(None)
    assert_same_weights(model, run[0])


@pytest.mark.parametrize("stdout", [None, types.SimpleNamespace(write=len, flush=lambda: None)])
def test_fit_needs_no_terminal(few, monkeypatch, stdout):
    """Under pythonw there is no stdout at all; a logger that replaces it has no `isatty`."""
    monkeypatch.setattr(sys, "stdout", stdout)
    assert len(fit(make_net(), few, epochs=1)) == 1


def test_pick_device_obeys_the_environment_and_falls_back_to_the_cpu(monkeypatch, capsys):
    """PyTorch finds MPS on some virtual machines that cannot allocate anything on it."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("xpu"))
    monkeypatch.setenv("MNIST_DEVICE", "meta")
    assert utils.pick_device() == torch.device("meta")
    monkeypatch.delenv("MNIST_DEVICE")
    assert utils.pick_device() == torch.device("cpu")
    assert "Training on the CPU, since xpu cannot be used: " in capsys.readouterr().out
