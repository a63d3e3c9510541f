"""A run that is interrupted goes on as if it had not been: stopped or killed, at whatever moment."""

import contextlib
import copy
import io
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
from interrupted import EPOCHS, lines, run, same_weights, start, without_seconds

import utils
from training import checkpoint
from training.optimizers import Muon

pytestmark = pytest.mark.numeric

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


@pytest.fixture
def notebook(monkeypatch):
    """Have this process look like a notebook's."""
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: "a shell"))


@pytest.fixture(params=["script", "imported", "notebook"])
def place(request, monkeypatch):
    """Where `fit` runs: in a script, which may have imported IPython or not, or in a notebook."""
    if request.param == "notebook":
        request.getfixturevalue("notebook")
    elif request.param == "imported":
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    else:
        monkeypatch.delitem(sys.modules, "IPython", raising=False)
    return request.param


def test_only_in_a_notebook_a_part_of_the_run_is_returned(tiny, place, capsys):
    """And in both the weights are those of the last whole epoch."""
    model, rows = start(), []

    def stop_in_third(trainer):
        rows.append(utils.evaluate(trainer.averaged, tiny[1]))
        if len(rows) == 3:
            raise KeyboardInterrupt

    if place == "notebook":
        history = run(model, tiny, extra=stop_in_third)
        assert [(row["test_loss"], row["test_accuracy"]) for row in history] == rows[:2]
    else:
        with pytest.raises(KeyboardInterrupt):
            run(model, tiny, extra=stop_in_third)
    assert utils.evaluate(model, tiny[1]) == rows[1]
    told = f"Stopped after 2 of {EPOCHS} epochs. A run with a checkpoint can go on after it was stopped."
    assert told in capsys.readouterr().out


@pytest.mark.parametrize(("moment", "epoch"), STOPS)
def test_a_stopped_run_goes_on_and_ends_the_same(tiny, whole, path, capsys, monkeypatch, notebook, epoch, moment):
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
    assert f"Stopped after {ended} of {EPOCHS} epochs. Run again to go on." in capsys.readouterr().out
    if history:
        assert utils.evaluate(model, tiny[1]) == (history[-1]["test_loss"], history[-1]["test_accuracy"])
    assert [file for file in path.parent.iterdir() if file != path] == []
    again = start(dropout=0.1)
    torch.manual_seed(99)
    history = run(again, tiny, checkpoint=path)
    assert without_seconds(history) == without_seconds(whole[1])
    assert same_weights(again, whole[0])
    assert lines(capsys.readouterr().out) == expected


# --- A script ---

# Trains from two seeds, and writes the weights of each.
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


@contextlib.contextmanager
def stopped(command, folder):
    """Run `command` in `folder` and stop it as Ctrl-C does when its second epoch begins; give what it printed."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "IPYTHONDIR": str(folder / "ipython")}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8"}
    with subprocess.Popen(command, cwd=folder, env=environment, **options) as process:
        try:
            began = list(itertools.takewhile(lambda line: "EPOCH: 2" not in line, process.stdout))
            process.send_signal(signal.SIGINT)
            printed, errors = process.communicate(timeout=300)
            yield process.returncode, "".join(began) + printed, errors
        finally:
            process.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console")
def test_a_stopped_script_ends_there(tmp_path):
    """It does not save what was not trained, begin with the next seed, or end as if all were well."""
    with stopped([sys.executable, "-c", SCRIPT, str(tmp_path / "run.checkpoint")], tmp_path) as (
        status,
        printed,
        errors,
    ):
        assert status not in (0, None)
        assert printed.count("seed") == 1
        assert re.search(r"Stopped after [1-9]\d* of 1000 epochs\. Run again to go on\.", printed)
        assert errors.rstrip().endswith("KeyboardInterrupt")
        assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to a whole console")
def test_ipython_itself_gets_the_part(tmp_path):
    pytest.importorskip("IPython")
    code = SCRIPT.replace("sys.argv[1]", "None").replace("(0, 1)", "(0,)")
    with stopped([sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code], tmp_path) as ended:
        status, printed, _ = ended
        assert "Stopped after " in printed
        assert (tmp_path / "0.pt").exists()
        assert status == 0


def test_a_complete_run_leaves_nothing_behind(tiny, path):
    run(start(), tiny, epochs=2, checkpoint=path)
    assert list(path.parent.iterdir()) == []


def test_a_run_without_a_checkpoint_writes_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(start(), tiny, epochs=1)
    assert list(tmp_path.iterdir()) == []


# --- Killed ---


def train_to_end(path, data, result, begun):
    """In a process of its own: train, from `path` if there is something, and write what came of it to `result`."""
    splits = [utils.Split(*split) for split in torch.load(data, weights_only=True)]
    model, log = start(dropout=0.1), io.StringIO()
    begun.set()
    with contextlib.redirect_stdout(log):
        history = run(model, splits, checkpoint=path)
    torch.save([model.state_dict(), without_seconds(history), lines(log.getvalue())], result)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_at_random_moments_it_ends_the_same(tiny, path, tmp_path, monkeypatch):
    """SIGKILL, which nothing can catch: each a random moment after a child process has begun to train, or again.

    What comes before, such as starting a GPU, can take longer than the training and is not worth a kill.
    """
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    processes = multiprocessing.get_context("forkserver")  # torch is imported once, and no child inherits a thread
    processes.set_forkserver_preload(["utils", "model"])
    data, result = tmp_path / "data.pt", tmp_path / "result.pt"
    torch.save([tuple(split) for split in tiny], data)

    def train(seconds=None):
        """Return for how long a child trained, where it came to its end within `seconds`; else kill it."""
        begun = processes.Event()
        child = processes.Process(target=train_to_end, args=(path, data, result, begun))
        child.start()
        assert begun.wait(timeout=120)
        since = time.perf_counter()
        child.join(seconds)
        duration = time.perf_counter() - since
        child.kill()
        child.join()
        assert child.exitcode in {0, -signal.SIGKILL}
        return duration if child.exitcode == 0 else None

    def outcome():
        weights, *rest = torch.load(result, weights_only=True)
        result.unlink()
        assert {file.name for file in tmp_path.iterdir()} == {data.name}  # the killed runs' files are gone too
        return [tensor.tolist() for tensor in weights.values()], *rest

    train()  # and have the server import what it is to import
    outcome()
    duration = train()
    uninterrupted = outcome()
    chance, kills, resumed = random.Random(0), 0, 0
    while kills < KILLS:
        resumed += path.exists()
        if train(chance.uniform(0, 1.1 * duration)) is None:
            kills += 1
        else:
            assert outcome() == uninterrupted
    resumed += path.exists()
    assert train() is not None
    assert outcome() == uninterrupted
    assert resumed > KILLS / 4  # so the kills did find runs that had something to lose
