"""A run that is interrupted goes on as if it had not been: stopped or killed, at whatever moment."""

import contextlib
import copy
import io
import multiprocessing
import os
import random
import signal
import time
import types

import pytest
import torch
from interrupted import EPOCHS, lines, run, same_weights, start, without_seconds
from shared import ROOT

import utils
from training import checkpoint
from training.optimizers import Muon

pytestmark = pytest.mark.numbers

KILLS = 20


STEPS = 5  # an epoch of 320 images, 64 at a time


@pytest.fixture(autouse=True)
def every_step_in_python(monkeypatch):
    """On a GPU, a recorded step calls nothing of what is interrupted here."""
    monkeypatch.setattr("training.cuda.fast_step", lambda trainer: trainer.step)


def interrupt_at(call, function):
    """Return `function`, but its call number `call` is preceded by a SIGINT, as Ctrl-C and Stop send it."""
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return function(*arguments, **options)

    return interrupted


# What `utils` calls to put weights aside: its own, so that nobody else's copies are interrupted.
OWN_COPY = types.SimpleNamespace(deepcopy=copy.deepcopy)

# Where the signal comes: what is called then, and which call of it that is in an epoch.
MOMENTS = {
    "before the epoch": (utils, "shuffled_batches", lambda epoch: epoch),
    "within a step": (torch.nn.functional, "cross_entropy", lambda epoch: (STEPS + 1) * (epoch - 1) + 3),
    "between optimizers": (Muon, "step", lambda epoch: STEPS * (epoch - 1) + 3),
    "within the evaluation": (torch.nn.functional, "cross_entropy", lambda epoch: (STEPS + 1) * epoch),
    "before the epoch's weights are put aside": (OWN_COPY, "deepcopy", lambda epoch: epoch + 1),
    "before the checkpoint is packed": (checkpoint, "pack", lambda epoch: epoch),
    "before the checkpoint is flushed": (os, "fsync", lambda epoch: epoch),
    "before the checkpoint is renamed": (type(ROOT), "replace", lambda epoch: epoch),
}


# After the last epoch there is no checkpoint to write.
STOPS = [(moment, n) for moment in MOMENTS for n in range(1, EPOCHS + 1) if n < EPOCHS or "checkpoint" not in moment]


@pytest.mark.parametrize(("moment", "epoch"), STOPS)
def test_a_stopped_run_goes_on_and_ends_the_same(tiny, whole, path, capsys, monkeypatch, epoch, moment):
    run(start(dropout=0.1), tiny)
    expected = lines(capsys.readouterr().out)
    place, name, call = MOMENTS[moment]
    model = start(dropout=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(utils, "copy", OWN_COPY)
        patch.setattr(place, name, interrupt_at(call(epoch), getattr(place, name)))
        history = run(model, tiny, checkpoint=path)
    ended = epoch if "checkpoint" in moment else epoch - 1
    assert len(history) == ended
    assert f"Stopped. The history has {ended} of {EPOCHS} epochs." in capsys.readouterr().out
    if history:
        assert utils.evaluate(model, tiny[1]) == (history[-1]["test_loss"], history[-1]["test_accuracy"])
    assert [file for file in path.parent.iterdir() if file != path] == []
    again = start(dropout=0.1)
    torch.manual_seed(99)
    history = run(again, tiny, checkpoint=path)
    assert without_seconds(history) == without_seconds(whole[1])
    assert same_weights(again, whole[0])
    assert lines(capsys.readouterr().out) == expected


def test_a_complete_run_leaves_nothing_behind(tiny, path):
    run(start(), tiny, epochs=2, checkpoint=path)
    assert list(path.parent.iterdir()) == []


def test_a_run_without_a_checkpoint_writes_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(start(), tiny, epochs=1)
    assert list(tmp_path.iterdir()) == []


# --- Killed ---


def train_to_end(path, data, result):
    """In a process of its own: train, from `path` if there is something, and write what came of it to `result`."""
    splits = [utils.Split(*split) for split in torch.load(data, weights_only=True)]
    model, log = start(dropout=0.1), io.StringIO()
    with contextlib.redirect_stdout(log):
        history = run(model, splits, checkpoint=path)
    torch.save([model.state_dict(), without_seconds(history), lines(log.getvalue())], result)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_at_random_moments_it_ends_the_same(tiny, path, tmp_path, monkeypatch):
    """SIGKILL, which nothing can catch: each a random moment after a child process has begun, or begun again."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    processes = multiprocessing.get_context("forkserver")  # torch is imported once, and no child inherits a thread
    processes.set_forkserver_preload(["utils", "model"])
    data, result = tmp_path / "data.pt", tmp_path / "result.pt"
    torch.save([tuple(split) for split in tiny], data)

    def train(seconds=None):
        """Return whether a child came to its end within `seconds`; kill it where it did not."""
        child = processes.Process(target=train_to_end, args=(path, data, result))
        child.start()
        child.join(seconds)
        child.kill()
        child.join()
        assert child.exitcode in {0, -signal.SIGKILL}
        return child.exitcode == 0

    def outcome():
        weights, *rest = torch.load(result, weights_only=True)
        result.unlink()
        assert {file.name for file in tmp_path.iterdir()} == {data.name}  # the killed runs' files are gone too
        return [tensor.tolist() for tensor in weights.values()], *rest

    train()  # and have the server import what it is to import
    outcome()
    began = time.perf_counter()
    assert train()
    duration = time.perf_counter() - began
    uninterrupted = outcome()
    chance, kills, resumed = random.Random(0), 0, 0
    while kills < KILLS:
        resumed += path.exists()
        if not train(chance.uniform(0, duration)):
            kills += 1
        else:
            assert outcome() == uninterrupted
    resumed += path.exists()
    assert train()
    assert outcome() == uninterrupted
    assert resumed > KILLS / 4  # so the kills did find runs that had something to lose
