"""A whole run, from `fit` to the log and the history, and the evaluation of its model."""

import copy
import functools
import re

import pytest
import torch
import torch.nn.functional as F
from helpers import make_net

import utils
from training.trainer import floats

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


# --- Evaluation ---


def test_evaluation_equals_a_plain_loop(small, device):
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


def test_evaluation_changes_nothing_and_tracks_no_gradient(small, device):
    model = make_net().to(device).train()
    before = copy.deepcopy(model.state_dict())
    logits = utils.compute_logits(model, small[1].images)
    assert model.training
    assert not logits.requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


# --- A whole run ---


def test_history_has_a_row_an_epoch(run):
    _, history = run
    assert [row["epoch"] for row in history] == [1, 2]
    for row in history:
        assert set(row) == {"epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds"}
        assert 0 <= row["train_accuracy"] <= 1
        assert 0 <= row["test_accuracy"] <= 1
        assert row["train_loss"] > 0
        assert row["seconds"] > 0


def test_the_model_ends_as_what_was_evaluated_last(run, small):
    model, history = run
    assert utils.evaluate(model, small[1]) == (history[-1]["test_loss"], history[-1]["test_accuracy"])


def test_log_has_the_form_of_the_reference(small, capsys):
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


def test_same_seed_same_weights_bit_for_bit(run, small):
    model, history = run
    again = make_net()
    repeated = utils.fit(again, *small, epochs=2)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    assert [row["train_loss"] for row in repeated] == [row["train_loss"] for row in history]


def test_another_seed_gives_other_weights(run, small):
    model, _ = run
    other = make_net()
    utils.fit(other, *small, epochs=2, seed=1)
    assert not torch.equal(next(model.parameters()), next(other.parameters()))


def test_averaging_nothing_gives_the_weights_being_trained(small):
    extra = {}
    model = make_net()
    utils.fit(model, *small, epochs=1, averaging=0, extra=lambda trainer: extra.update(model=trainer.model) or {})
    for ours, trained in zip(floats(model), floats(extra["model"]), strict=True):
        assert torch.equal(ours, trained)


def test_each_epoch_has_maps_of_its_own_one_an_image(small):
    drawn = []

    def augment(n, generator):
        drawn.append(utils.random_affines(n, generator=generator))
        return drawn[-1]

    utils.fit(make_net(), *small, epochs=2, augment=augment)
    trial, first, second = drawn
    assert len(trial) == 2
    assert len(first) == len(second) == len(small[0].labels)
    assert not torch.equal(first, second)


def test_stronger_augmentation_is_harder(small):
    strong = functools.partial(utils.random_affines, degrees=30, shift=0.24, scale=0.3, shear=24)
    histories = [utils.fit(make_net(), *small, epochs=1, augment=augment) for augment in (utils.no_affines, strong)]
    assert histories[0][0]["train_loss"] < histories[1][0]["train_loss"]


def test_extra_entries_join_the_history(small):
    (row,) = utils.fit(make_net(), *small, epochs=1, extra=lambda trainer: {"steps": len(trainer.rates)})
    assert row["steps"] == 10


def test_training_learns(run):
    _, history = run
    assert history[1]["train_loss"] < history[0]["train_loss"]
    assert history[1]["train_accuracy"] > 0.5


def test_an_extra_that_only_looks_adds_nothing(small):
    (row,) = utils.fit(make_net(), *small, epochs=1, extra=lambda trainer: None)
    assert list(row)[-1] == "seconds"


def test_an_accuracy_is_a_count_over_a_count(run):
    """To the last digit: not rounded to float32 on the way."""
    _, history = run
    assert all((500 * row["test_accuracy"]).is_integer() for row in history)
