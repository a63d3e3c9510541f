"""An interrupted or killed run resumes as if nothing had happened."""

import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from helpers import ROOT
from interrupted import EPOCHS, STEPS, assert_same_run, make_splits, run, run_until, start

import utils


def signal_before(call, function, number):
    """Return `function`, sending the signal `number` to this process before its call number `call`."""
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(number)
        return function(*arguments, **options)

    return interrupted


# When a signal comes in the second epoch: what is called then, and the number of that call.
MOMENTS = {
    "within a step": (torch.nn.functional, "cross_entropy", (STEPS + 1) + 3),
    "within the evaluation": (torch.nn.functional, "cross_entropy", 2 * (STEPS + 1)),
    "before the checkpoint is renamed": (Path, "replace", 2),
}


def send_at(moment, number, patch):
    place, name, call = MOMENTS[moment]
    patch.setattr(place, name, signal_before(call, getattr(place, name), number))


@pytest.mark.parametrize("moment", MOMENTS)
def test_stopped_run_resumes_and_ends_the_same(tiny, uninterrupted, path, capsys, monkeypatch, moment):
    """In a notebook, with SIGINT, as Ctrl-C and Stop send it."""
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: "a shell"))
    monkeypatch.setattr("utils.make_run_step", lambda step, state: lambda: step(state))  # also on a GPU
    model = start(dropout=0.1)
    with monkeypatch.context() as patch:
        send_at(moment, signal.SIGINT, patch)
        history = run(model, tiny, checkpoint=path)
    complete = 2 if "checkpoint" in moment else 1
    assert len(history) == complete
    assert f"Stopped after {complete} of {EPOCHS} epochs. Run again to resume." in capsys.readouterr().out
    assert utils.evaluate(model, tiny[1]) == (history[-1]["test_loss"], history[-1]["test_accuracy"])
    assert list(path.parent.iterdir()) == [path]
    model = start(dropout=0.1)
    assert_same_run(model, run(model, tiny, checkpoint=path), uninterrupted)
    assert "Resuming after epoch 1." in capsys.readouterr().out
    assert list(path.parent.iterdir()) == []


def test_interrupt_propagates_in_a_script_that_imports_ipython(tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    run_until(2, start(), tiny)  # fails if fit returns


# --- Real processes ---

# Trains from two seeds and writes the weights of each.
SCRIPT = """
import signal, sys, torch, utils
from model import Net
signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a prompt, however this test was started
images = torch.randint(256, (100, 1, 28, 28), dtype=torch.uint8)
split = utils.Split(images, torch.arange(100) % 10)
for seed in (0, 1):
    print("seed", seed)
    model = Net()
    utils.fit(model, split, split, epochs=1000, batch_size=32, seed=seed, checkpoint=sys.argv[1])
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
    assert "KeyboardInterrupt" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"]


def train_until_killed(path, threads):
    """Train in a process of its own, until SIGKILL leaves the second checkpoint written but not renamed."""
    torch.set_num_threads(threads)
    send_at("before the checkpoint is renamed", signal.SIGKILL, pytest.MonkeyPatch())
    run(start(dropout=0.1), make_splits(), checkpoint=path, verbose=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_run_resumes_and_ends_the_same(tiny, uninterrupted, path, capsys):
    """SIGKILL, which nothing can catch. The run after it also deletes the temporary file that was left behind."""
    child = multiprocessing.get_context("spawn").Process(
        target=train_until_killed, args=(path, torch.get_num_threads())
    )
    child.start()
    child.join(300)
    assert child.exitcode == -signal.SIGKILL
    assert len(list(path.parent.iterdir())) == 2
    model = start(dropout=0.1)
    assert_same_run(model, run(model, tiny, checkpoint=path), uninterrupted)
    assert "Resuming after epoch 1." in capsys.readouterr().out
    assert list(path.parent.iterdir()) == []
