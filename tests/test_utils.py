"""A whole run, from `fit` to the log and the history; the evaluation of its model; the caller's modes."""

import copy
import re

import pytest
import torch
import torch.nn.functional as F
from helpers import make_net

import utils
from model import load_net

BAR = (
    r"Loss=\d+\.\d+(e-\d+)? Batch_id=9 Accuracy=\d+\.\d\d: 100%\|██████████\| 10/10 "
    r"\[\d\d:\d\d<\d\d:\d\d, +(\d+\.\d\d|\?)(it/s|s/it)\]"
)
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
    """A run of two epochs: the model and its history."""
    model = make_net()
    return model, fit(model, few)


def assert_same_weights(a, b):
    different = [name for name, value in a.state_dict().items() if not torch.equal(value, b.state_dict()[name])]
    assert different == []


# --- Evaluation ---


@pytest.mark.numeric
def test_evaluate_equals_a_plain_loop(small, device):
    _, test = small
    model = make_net().to(device)
    loss, accuracy = utils.evaluate(model, test)
    model.eval()
    losses, correct = [], 0
    with torch.no_grad():
        for image, label in zip(test.images, test.labels, strict=True):
            logits = model(utils.normalize(image[None]))
            losses.append(F.cross_entropy(logits, label[None]).item())
            correct += int(logits.argmax() == label)
    assert loss == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert accuracy == pytest.approx(correct / len(losses))


def test_compute_logits_changes_nothing_and_tracks_no_gradient(small, device):
    model = make_net().to(device).train()
    before = copy.deepcopy(model.state_dict())
    logits = utils.compute_logits(model, small[1].images)
    assert model.training
    assert not logits.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_compute_logits_restores_train_mode_if_the_model_raises(small):
    class Broken(torch.nn.Linear):
        def forward(self, images):
            raise RuntimeError("broken")

    model = Broken(1, 1).to(small[1].images.device).train()
    with pytest.raises(RuntimeError, match="broken"):
        utils.compute_logits(model, small[1].images)
    assert model.training


# --- A whole run ---


def test_history_has_one_row_per_epoch(run):
    _, history = run
    assert [row["epoch"] for row in history] == [1, 2]
    for row in history:
        assert set(row) == {"epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"}
        assert 0 <= row["train_accuracy"] <= 1
        assert row["test_accuracy"] == round(100 * row["test_accuracy"]) / 100  # not rounded to float32 on the way
        assert row["train_loss"] > 0
        assert row["seconds"] > 0


@pytest.mark.numeric
def test_training_learns(run):
    _, history = run
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert history[1]["train_accuracy"] > 0.5


def test_model_ends_as_what_was_evaluated_last(run, few):
    model, history = run
    assert utils.evaluate(model, few[1]) == (history[-1]["test_loss"], history[-1]["test_accuracy"])


@pytest.mark.numeric
def test_same_seed_gives_the_same_weights_bit_for_bit(run, few):
    model, history = run
    again = make_net()
    repeated = fit(again, few)
    assert_same_weights(again, model)
    assert [row["train_loss"] for row in repeated] == [row["train_loss"] for row in history]


def test_log_has_the_form_of_the_assignment(few, capsys):
    fit(make_net(), few)
    printed = capsys.readouterr()
    lines = [line.rsplit("\r", 1)[-1] for line in printed.out.split("\n")]
    assert printed.err == ""
    assert len(lines) == 9
    for epoch, (heading, bar, verdict, blank) in enumerate((lines[:4], lines[4:8]), start=1):
        assert heading == f"EPOCH: {epoch}"
        assert re.fullmatch(BAR, bar.rstrip()), bar
        assert re.fullmatch(TEST_LINE, verdict), verdict
        assert blank == ""


def test_another_seed_gives_other_weights(run, few):
    other = make_net()
    fit(other, few, seed=1)
    assert not torch.equal(next(run[0].parameters()), next(other.parameters()))


def test_ema_decay_of_zero_gives_the_live_weights(few):
    live = {}
    model = make_net()
    fit(model, few, ema_decay=0, extra_metrics=lambda state: live.update(state.live_model.state_dict()))
    floats = [name for name, value in live.items() if value.is_floating_point()]
    assert [name for name in floats if not torch.equal(model.state_dict()[name], live[name])] == []


def test_augment_is_called_once_per_epoch_for_every_image_and_used(few):
    drawn, used = [], []

    def augment(n, generator):
        drawn.append(utils.random_affines(n, generator=generator))
        return drawn[-1]

    def extra_metrics(state):
        used.append(state.affines.cpu().clone())
        return {"steps": len(state.losses)}

    history = fit(make_net(), few, augment=augment, extra_metrics=extra_metrics)
    assert [row["steps"] for row in history] == [20, 20]
    assert len(drawn) == 2
    assert torch.equal(torch.cat(used), torch.cat(drawn))
    assert not torch.equal(*drawn)


# --- The caller's modes ---


def test_fit_trains_the_same_in_any_mode_and_silently_if_asked(run, few, capsys):
    """Inference mode includes no_grad."""
    model = make_net()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            fit(model, few, verbose=False)
            assert torch.is_inference_mode_enabled()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_weights(model, run[0])
    assert capsys.readouterr() == ("", "")


# --- The device ---


def test_pick_device_obeys_the_environment(monkeypatch):
    monkeypatch.setenv("MNIST_DEVICE", "cpu")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert utils.pick_device() == torch.device("cpu")
    with pytest.raises(ValueError, match="device is 'gpu', from an argument or MNIST_DEVICE; it must be cpu"):
        utils.pick_device("gpu")


def test_pick_device_falls_back_to_the_cpu_and_says_why(monkeypatch, capsys):
    """PyTorch finds MPS on some virtual machines that cannot allocate anything on it."""
    monkeypatch.delenv("MNIST_DEVICE", raising=False)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("xpu"))
    assert utils.pick_device() == torch.device("cpu")
    assert "Training on the CPU, since xpu cannot be used: " in capsys.readouterr().out


def test_save_weights_writes_cpu_tensors_that_load_anywhere(small, device, tmp_path):
    model = make_net().to(device)
    utils.save_weights(model, tmp_path / "new" / "weights.pt")
    saved = torch.load(tmp_path / "new" / "weights.pt", weights_only=True)
    assert {value.device.type for value in saved.values()} == {"cpu"}
    assert_same_weights(load_net(tmp_path / "new" / "weights.pt"), make_net())
