"""Damaged, foreign and hostile checkpoints are refused; a disk that fails costs the checkpoint, not the run."""

import errno
import functools
import os

import pytest
import torch
from helpers import Hostile
from interrupted import assert_same_run, make_splits, run, run_until, same_weights, start

import utils
from model import Net
from training.checkpoint import pack, unpack


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


# What a file that is no checkpoint may hold: a function of a good one's bytes and of what hostile code would create.
FOREIGN = {
    "empty": lambda good, mark: b"",
    "truncated": lambda good, mark: good[: len(good) // 2],
    "one bit flipped": lambda good, mark: flip_a_bit(good),
    "weights": lambda good, mark: pack(Net().state_dict()),
    "hostile": lambda good, mark: pack({"settings": Hostile(mark)}),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_fit_refuses_a_file_that_is_no_checkpoint_and_runs_no_code(tiny, stopped, tmp_path, kind):
    mark = tmp_path / "mark"
    stopped.write_bytes(FOREIGN[kind](stopped.read_bytes(), mark))
    with pytest.raises(ValueError, match=r"is damaged or not a checkpoint; use another file") as error:
        run(start(), tiny, epochs=2, checkpoint=stopped)
    assert str(stopped) in str(error.value)
    assert not mark.exists()


def test_hostile_file_would_have_run(tmp_path):
    """Otherwise the test above proves nothing."""
    torch.save({"settings": Hostile(tmp_path / "mark")}, tmp_path / "hostile")
    torch.load(tmp_path / "hostile", weights_only=False)
    assert (tmp_path / "mark").exists()


OTHER_SETTINGS = {
    "lr": {"lr": 0.1},
    "schedule": {"schedule": functools.partial(utils.one_cycle, warmup=0.3)},
    "augment": {"augment": utils.identity_affines},
    "model": {"model": Net(dropout=0.2)},
    "train": {"splits": make_splits(seed=1)},
}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_fit_refuses_the_checkpoint_of_another_run_and_names_the_difference(tiny, stopped, content, name):
    options = {"model": start(), "splits": tiny, "epochs": 2} | OTHER_SETTINGS[name]
    different = rf"belongs to another run: {name} (was .* and is now|has changed).* Change that"
    with pytest.raises(ValueError, match=different):
        run(**options, checkpoint=stopped)
    assert stopped.read_bytes() == content


# --- The disk ---


def test_disk_error_costs_one_checkpoint_and_not_the_run(tiny, uninterrupted, path, monkeypatch, capsys):
    """The second checkpoint fails: the first one stays, whole, and training continues."""
    fsync, calls, epochs_in_file = os.fsync, [], []

    def fail_second_time(number):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(number)

    def look(state):
        if path.exists():
            epochs_in_file.append(len(unpack(path.read_bytes())["state"]["history"]))

    monkeypatch.setattr(os, "fsync", fail_second_time)
    model = start(dropout=0.1)
    history = run(model, tiny, checkpoint=path, extra_metrics=look)
    assert epochs_in_file == [1, 1]
    assert capsys.readouterr().out.count(f"Checkpoint {path} cannot be written: ") == 1
    assert_same_run(model, history, uninterrupted)
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file/run.checkpoint", r"cannot be written: .*; use a file in a folder that can, or train without"),
        (".", r"cannot be read: .*; use another file"),
    ],
)
def test_fit_refuses_an_unusable_path_before_training(tiny, tmp_path, monkeypatch, place, message):
    monkeypatch.setattr("utils.train_epoch", None)  # would fail if it were called
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=message):
        run(start(), tiny, checkpoint=tmp_path / place)


def test_non_finite_loss_keeps_the_last_good_checkpoint(tiny, uninterrupted, path):
    """And the last good weights; without the cause, the run resumes from there."""
    model, logits = start(dropout=0.1), []

    def sabotage(state):
        logits.append(utils.compute_logits(model, tiny[1].images))
        state.lr_schedule.fill_(torch.inf)

    with pytest.raises(FloatingPointError, match=r"epoch 2, step 2: the loss is nan"):
        run(model, tiny, checkpoint=path, extra_metrics=sabotage)
    assert torch.equal(utils.compute_logits(model, tiny[1].images), logits[0])
    assert_same_run(model, run(model, tiny, checkpoint=path), uninterrupted)


@pytest.mark.numeric
def test_checkpoint_of_a_run_on_other_weights_resumes_the_same(tiny, uninterrupted, path):
    """`model`'s own weights don't matter when a run is resumed."""
    run_until(2, start(dropout=0.1), tiny, checkpoint=path)
    torch.manual_seed(7)
    model = Net(dropout=0.1)
    assert not same_weights(model, start(dropout=0.1))
    assert_same_run(model, run(model, tiny, checkpoint=path), uninterrupted)
