"""An interrupted or killed run resumes as if nothing had happened."""

import itertools
import multiprocessing
import os
import random
import re
import signal
import subprocess
import sys
import time
import types

import pytest
import torch
from helpers import ROOT
from interrupted import EPOCHS, assert_same_run, run, start, without_seconds

import utils
from training import checkpoint
from training.optimizers import Muon

pytestmark = pytest.mark.numeric

KILLS = 6
STEPS = 5  # an epoch of 320 images, 64 at a time


def interrupt_at(call, function):
    """Return `function` with a SIGINT, as sent by Ctrl-C and Stop, before its call number `call`."""
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return function(*arguments, **options)

    return interrupted


# When the signal comes: what is called then, and the number of that call in epoch `epoch`.
MOMENTS = {
    "before the epoch": (utils, "shuffled_batches", lambda epoch: epoch),
    "within a step": (torch.nn.functional, "cross_entropy", lambda epoch: (STEPS + 1) * (epoch - 1) + 3),
    "between optimizers": (Muon, "step", lambda epoch: STEPS * (epoch - 1) + 3),
    "within the evaluation": (torch.nn.functional, "cross_entropy", lambda epoch: (STEPS + 1) * epoch),
    "before the checkpoint is packed": (checkpoint, "pack", lambda epoch: epoch),
    "before the checkpoint is renamed": (type(ROOT), "replace", lambda epoch: epoch),
}


@pytest.fixture
def notebook(monkeypatch):
    """Make this process look like a notebook's."""
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: "a shell"))


@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_run_resumes_and_ends_the_same(tiny, uninterrupted, path, capsys, monkeypatch, notebook, moment):
    monkeypatch.setattr("training.state.make_run_step", lambda step, state, _: lambda: step(state))  # also on a GPU
    place, name, call = MOMENTS[moment]
    model = start(dropout=0.1)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, interrupt_at(call(3), getattr(place, name)))
        history = run(model, tiny, checkpoint=path)
    complete = 3 if "checkpoint" in moment else 2
    assert len(history) == complete
    assert f"Stopped after {complete} of {EPOCHS} epochs. Run again to resume." in capsys.readouterr().out
    assert utils.evaluate(model, tiny[1]) == (history[-1]["test_loss"], history[-1]["test_accuracy"])
    assert [file for file in path.parent.iterdir() if file != path] == []
    model = start(dropout=0.1)
    assert_same_run(model, run(model, tiny, checkpoint=path), uninterrupted)
    assert "Resuming after epoch 2." in capsys.readouterr().out
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("shell", [None, "a shell"])
def test_only_a_notebook_gets_the_partial_history(tiny, monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    model, results = start(), []

    def stop_in_third(state):
        results.append(utils.evaluate(state.ema_model, tiny[1]))
        if len(results) == 3:
            raise KeyboardInterrupt

    if shell:
        assert len(run(model, tiny, extra_metrics=stop_in_third)) == 2
    else:
        with pytest.raises(KeyboardInterrupt):
            run(model, tiny, extra_metrics=stop_in_third)
    assert utils.evaluate(model, tiny[1]) == results[1]


# --- A script ---

# Trains from two seeds and writes the weights of each.
SCRIPT = """
import signal, sys, torch, utils
from model import Net
signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a prompt, however this test was started
torch.manual_seed(0)
images = torch.randint(256, (640, 1, 28, 28), dtype=torch.uint8)
split = utils.Split(images, torch.arange(640) % 10)
for seed in (0, 1):
    print("seed", seed)
    model = Net()
    utils.fit(model, split, split, epochs=1000, batch_size=64, seed=seed, checkpoint=sys.argv[1])
    torch.save(model.state_dict(), f"{seed}.pt")
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console")
def test_stopped_script_ends_there(tmp_path):
    """It doesn't save partial weights, start the next seed, or exit with status 0."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "run.checkpoint")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, **options) as process:
        try:
            began = list(itertools.takewhile(lambda line: "EPOCH: 2" not in line, process.stdout))
            process.send_signal(signal.SIGINT)
            printed, errors = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode not in (0, None)
    assert "".join([*began, printed]).count("seed") == 1
    assert re.search(r"Stopped after [1-9]\d* of 1000 epochs\. Run again to resume\.", printed)
    assert errors.rstrip().endswith("KeyboardInterrupt")
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"]


# --- Killed ---


def train_to_the_end(path, data, result, started):
    """In a process of its own: train, resuming from `path` if it exists, and write the outcome to `result`."""
    splits = [utils.Split(*split) for split in torch.load(data, weights_only=True)]
    model = start(dropout=0.1)
    started.set()
    history = run(model, splits, checkpoint=path, verbose=False)
    torch.save([model.state_dict(), without_seconds(history)], result)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_run_killed_at_random_moments_ends_the_same(tiny, path, tmp_path, monkeypatch):
    """SIGKILL, which nothing can catch, at random moments after a child process has started training."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    processes = multiprocessing.get_context("forkserver")  # torch is imported once, and no child inherits a thread
    processes.set_forkserver_preload(["utils", "model"])
    data, result = tmp_path / "data.pt", tmp_path / "result.pt"
    torch.save([tuple(split) for split in tiny], data)

    def train(seconds=None):
        """Return how long a child trained if it finished within `seconds`; otherwise kill it and return None."""
        started = processes.Event()
        child = processes.Process(target=train_to_the_end, args=(path, data, result, started))
        child.start()
        assert started.wait(timeout=120)
        since = time.perf_counter()
        child.join(seconds)
        duration = time.perf_counter() - since
        child.kill()
        child.join()
        assert child.exitcode in {0, -signal.SIGKILL}
        return duration if child.exitcode == 0 else None

    def outcome():
        weights, history = torch.load(result, weights_only=True)
        result.unlink()
        assert {file.name for file in tmp_path.iterdir()} == {data.name}  # killed runs leave nothing behind either
        return [tensor.tolist() for tensor in weights.values()], history

    train()  # so that the server has imported everything
    outcome()
    duration = train()
    expected = outcome()
    chance, kills, resumed = random.Random(0), 0, 0
    while kills < KILLS:
        resumed += path.exists()
        if train(chance.uniform(0.3, 1.1) * duration) is None:
            kills += 1
        else:
            assert outcome() == expected
    resumed += path.exists()
    assert train() is not None
    assert outcome() == expected
    assert resumed >= 1  # so at least one kill hit a run that had something to lose
