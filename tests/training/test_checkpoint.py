"""Damaged, foreign and hostile checkpoints are refused; a disk that fails costs the checkpoint, not the run."""

import errno
import functools
import os
import pickle
import random

import pytest
import torch
from helpers import Hostile
from interrupted import EPOCHS, assert_same_run, run, run_until, same_weights, start

import utils
from model import Net
from training.checkpoint import pack, unpack

pytestmark = pytest.mark.numeric


# What a file that is no checkpoint may hold: a function of a good one's bytes and of what hostile code would create.
FOREIGN = {
    "empty": lambda good, mark: b"",
    "text": lambda good, mark: b"not a checkpoint",
    "truncated": lambda good, mark: good[: len(good) // 2],
    "weights": lambda good, mark: pack(Net().state_dict()),
    "settings without a state": lambda good, mark: pack({"settings": unpack(good)["settings"]}),
    "hostile": lambda good, mark: pack({"settings": Hostile(mark)}),
    "hostile pickle": lambda good, mark: pickle.dumps(Hostile(mark), protocol=2),
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


@pytest.mark.parametrize("seed", range(4))
def test_fit_notices_a_flipped_bit(tiny, stopped, seed):
    content = bytearray(stopped.read_bytes())
    content[random.Random(seed).randrange(len(content))] ^= 1 << seed
    stopped.write_bytes(content)
    with pytest.raises(ValueError, match="is damaged or not a checkpoint"):
        run(start(), tiny, epochs=2, checkpoint=stopped)


OTHER_SETTINGS = {
    "epochs": {"epochs": 3},
    "lr": {"lr": 0.1},
    "seed": {"seed": 1},
    "schedule": {"schedule": functools.partial(utils.one_cycle, warmup=0.3)},
    "augment": {"augment": utils.identity_affines},
    "model": {"model": Net(dropout=0.2)},
}


@pytest.mark.parametrize("name", OTHER_SETTINGS)
def test_fit_refuses_the_checkpoint_of_another_run_and_names_the_difference(tiny, stopped, name):
    content = stopped.read_bytes()
    options = {"model": start(), "epochs": 2} | OTHER_SETTINGS[name]
    with pytest.raises(
        ValueError, match=f"belongs to another run: {name} (was .* and is now|has changed).* Change that"
    ):
        run(options.pop("model"), tiny, checkpoint=stopped, **options)
    assert stopped.read_bytes() == content


def test_fit_refuses_the_checkpoint_of_other_data(tiny, stopped):
    train, test = tiny
    with pytest.raises(ValueError, match="belongs to another run: train was"):
        run(start(), (utils.Split(train.images, train.labels.flip(0) * 0), test), epochs=2, checkpoint=stopped)


# --- The disk ---


@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_disk_error_costs_the_checkpoint_and_not_the_run(tiny, uninterrupted, path, monkeypatch, capsys, moment):
    def fail(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(*((os, "fsync") if moment == "fsync" else (type(path), "replace")), fail)
    model = start(dropout=0.1)
    history = run(model, tiny, checkpoint=path)
    assert capsys.readouterr().out.count(f"Checkpoint {path} cannot be written: ") == EPOCHS - 1
    assert_same_run(model, history, uninterrupted)
    assert list(path.parent.iterdir()) == []


def test_failed_write_keeps_the_checkpoint_before_it(tiny, path, monkeypatch):
    fsync, calls = os.fsync, []

    def fail_second_time(number):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(number)

    monkeypatch.setattr(os, "fsync", fail_second_time)
    run_until(3, start(), tiny, checkpoint=path)
    assert list(path.parent.iterdir()) == [path]
    assert [row["epoch"] for row in unpack(path.read_bytes())["state"]["history"]] == [1]


def test_fit_refuses_a_folder_it_cannot_write_before_training(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("utils.train_epoch", None)  # would fail if it were called
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"cannot be written: .*; use a file in a folder that can, or train without"):
        run(start(), tiny, checkpoint=tmp_path / "file" / "run.checkpoint")


def test_fit_refuses_a_folder_in_place_of_a_checkpoint(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read: .*; use another file"):
        run(start(), tiny, checkpoint=tmp_path)


def test_checkpoint_creates_a_missing_folder(tiny, tmp_path):
    path = tmp_path / "new" / "run.checkpoint"
    run_until(2, start(), tiny, epochs=2, checkpoint=path)
    assert path.exists()


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


def test_checkpoint_of_a_run_on_other_weights_resumes_the_same(tiny, uninterrupted, path):
    """`model`'s own weights don't matter when a run is resumed."""
    run_until(3, start(dropout=0.1), tiny, checkpoint=path)
    torch.manual_seed(7)
    model = Net(dropout=0.1)
    assert not same_weights(model, start(dropout=0.1))
    assert_same_run(model, run(model, tiny, checkpoint=path), uninterrupted)
