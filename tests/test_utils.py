"""A whole run, from `fit` to the log and the history; the evaluation of its model; the caller's modes."""

import copy
import functools
import re

import pytest
import torch
import torch.nn.functional as F
from helpers import make_net

import utils
from model import Net, load_net
from training.state import float_tensors

pytestmark = pytest.mark.numeric


BAR = (
    r"Loss=\d+\.\d+(e-\d+)? Batch_id=9 Accuracy=\d+\.\d\d: 100%\|██████████\| 10/10 "
    r"\[\d\d:\d\d<\d\d:\d\d, +(\d+\.\d\d|\?)(it/s|s/it)\]"
)


TEST_LINE = r"Test set: Average loss: \d+\.\d{4}, Accuracy: \d+/500 \(\d+\.\d\d%\)"


@pytest.fixture(scope="module")
def run(small):
    """Two epochs on the small splits: the model and its history."""
    model = make_net()
    return model, utils.fit(model, *small, epochs=2)


def assert_same_weights(a, b):
    different = [name for name, value in a.state_dict().items() if not torch.equal(value, b.state_dict()[name])]
    assert different == []


# --- Evaluation ---


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
        assert (500 * row["test_accuracy"]).is_integer()  # not rounded to float32 on the way
        assert row["train_loss"] > 0
        assert row["seconds"] > 0


def test_training_learns(run):
    _, history = run
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert history[1]["train_accuracy"] > 0.5


def test_model_ends_as_what_was_evaluated_last(run, small):
    model, history = run
    assert utils.evaluate(model, small[1]) == (history[-1]["test_loss"], history[-1]["test_accuracy"])


def test_log_has_the_form_of_the_assignment(small, capsys):
    utils.fit(make_net(), *small, epochs=2)
    printed = capsys.readouterr()
    lines = [line.rsplit("\r", 1)[-1] for line in printed.out.split("\n")]
    assert printed.err == ""
    assert len(lines) == 9
    for epoch, (heading, bar, verdict, blank) in enumerate((lines[:4], lines[4:8]), start=1):
        assert heading == f"EPOCH: {epoch}"
        assert re.fullmatch(BAR, bar.rstrip()), bar
        assert re.fullmatch(TEST_LINE, verdict), verdict
        assert blank == ""


def test_verbose_false_prints_nothing_and_changes_nothing(run, small, capsys):
    model = make_net()
    utils.fit(model, *small, epochs=2, verbose=False)
    assert capsys.readouterr() == ("", "")
    assert_same_weights(model, run[0])


def test_same_seed_gives_the_same_weights_bit_for_bit(run, small):
    model, history = run
    again = make_net()
    repeated = utils.fit(again, *small, epochs=2)
    assert_same_weights(again, model)
    assert [row["train_loss"] for row in repeated] == [row["train_loss"] for row in history]


def test_another_seed_gives_other_weights(run, small):
    model, _ = run
    other = make_net()
    utils.fit(other, *small, epochs=2, seed=1)
    assert not torch.equal(next(model.parameters()), next(other.parameters()))


def test_ema_decay_of_zero_gives_the_live_weights(small):
    live = {}
    model = make_net()
    utils.fit(model, *small, epochs=1, ema_decay=0, extra_metrics=lambda state: live.update(model=state.live_model))
    for ours, trained in zip(float_tensors(model), float_tensors(live["model"]), strict=True):
        assert torch.equal(ours, trained)


def test_augment_is_called_once_per_epoch_for_every_image(small):
    drawn = []

    def augment(n, generator):
        drawn.append(utils.random_affines(n, generator=generator))
        return drawn[-1]

    utils.fit(make_net(), *small, epochs=2, augment=augment)
    first, second = drawn
    assert len(first) == len(second) == len(small[0].labels)
    assert not torch.equal(first, second)


def test_stronger_augmentation_is_harder(small):
    strong = functools.partial(utils.random_affines, degrees=30, shift=0.24, scale=0.3, shear=24)
    histories = [
        utils.fit(make_net(), *small, epochs=1, augment=augment) for augment in (utils.identity_affines, strong)
    ]
    assert histories[0][0]["train_loss"] < histories[1][0]["train_loss"]


def test_extra_metrics_join_the_history(small):
    (row,) = utils.fit(make_net(), *small, epochs=1, extra_metrics=lambda state: {"steps": len(state.losses)})
    assert row["steps"] == 10


# --- The caller's modes ---

MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
}


@pytest.mark.parametrize("mode", MODES)
def test_fit_trains_the_same_inside_any_mode(run, small, mode):
    model = make_net()
    with MODES[mode]():
        utils.fit(model, *small, epochs=2)
    assert_same_weights(model, run[0])


def test_fit_trains_the_same_with_float64_as_the_default(run, small):
    model = make_net()
    torch.set_default_dtype(torch.float64)
    try:
        utils.fit(model, *small, epochs=2)
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert_same_weights(model, run[0])


def test_fit_refuses_a_model_made_in_inference_mode(small):
    with torch.inference_mode():
        model = Net()
    with pytest.raises(ValueError, match=r"must be made outside torch\.inference_mode"):
        utils.fit(model, *small, epochs=1)


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
