"""An interrupted or killed run resumes as if nothing had happened; files that are no checkpoint of it are refused."""

import functools
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

import utils
from model import Net

EPOCHS = 3
STEPS = 4  # per epoch: 100 images, 32 at a time
DEVICE = utils.pick_device()
IMAGES = torch.randint(256, (150, 1, 28, 28), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)).to(DEVICE)
LABELS = torch.arange(150, device=DEVICE) % 10
SPLITS = utils.Split(IMAGES[:100], LABELS[:100]), utils.Split(IMAGES[100:], LABELS[100:])


def start(seed=0, dropout=0.1):
    torch.manual_seed(seed)
    net = Net(dropout)
    torch.seed()  # to something else every time: dropout must depend on the seed that `fit` sets
    return net


def run(model, splits=SPLITS, **options):
    return utils.fit(model, *splits, **({"epochs": EPOCHS, "batch_size": 32} | options))


@pytest.fixture
def path(tmp_path):
    """A checkpoint in a folder that does not exist yet."""
    return tmp_path / "new" / "run.checkpoint"


@pytest.fixture(scope="module")
def uninterrupted():
    model = start()
    return model, run(model)


def assert_same_run(model, history, uninterrupted):
    """Bit for bit, except for the seconds."""
    expected, expected_history = uninterrupted
    assert [row | {"seconds": 0} for row in history] == [row | {"seconds": 0} for row in expected_history]
    values = zip(model.state_dict().values(), expected.state_dict().values(), strict=True)
    assert all(torch.equal(value, other) for value, other in values)


def stop_in_second_epoch(state):
    """Interrupt the run as an `extra_metrics`, at the end of the epoch but before it is complete."""
    if len(state.history) == 1:
        raise KeyboardInterrupt


# Moments in the second epoch: what is called then, and the number of that call.
WITHIN_A_STEP = (torch.nn.functional, "cross_entropy", (STEPS + 1) + 3)
BEFORE_THE_CHECKPOINT_IS_RENAMED = (Path, "replace", 2)


def send_at(moment, number, patch):
    """Send the signal `number` to this process at that moment."""
    place, name, number_of_call = moment
    function, calls = getattr(place, name), []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == number_of_call:
            signal.raise_signal(number)
        return function(*arguments, **options)

    patch.setattr(place, name, interrupted)


@pytest.mark.parametrize(("moment", "complete"), [(WITHIN_A_STEP, 1), (BEFORE_THE_CHECKPOINT_IS_RENAMED, 2)])
def test_stopped_run_resumes_and_ends_the_same(uninterrupted, path, capsys, moment, complete):
    """With SIGINT, as Ctrl-C and Stop send it. The interrupt propagates, so that no notebook cell or script passes."""
    model = start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("utils.make_run_step", lambda step, state: lambda: step(state))  # a captured step calls nothing
        send_at(moment, signal.SIGINT, patch)
        with pytest.raises(KeyboardInterrupt):
            run(model, checkpoint=path)
    assert f"Stopped after {complete} of {EPOCHS} epochs. Run again to resume." in capsys.readouterr().out
    row = uninterrupted[1][complete - 1]
    assert utils.evaluate(model, SPLITS[1]) == pytest.approx((row["test_loss"], row["test_accuracy"]), rel=1e-5)
    model = start(seed=7)  # its weights don't matter
    assert_same_run(model, run(model, checkpoint=path), uninterrupted)
    assert "Resuming after epoch 1." in capsys.readouterr().out
    assert list(path.parent.iterdir()) == []


def train_until_killed(path, threads):
    """Train in a process of its own, until SIGKILL leaves the second checkpoint written but not renamed."""
    torch.set_num_threads(threads)
    send_at(BEFORE_THE_CHECKPOINT_IS_RENAMED, signal.SIGKILL, pytest.MonkeyPatch())
    run(start(), checkpoint=path, verbose=False)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_run_resumes_and_ends_the_same(uninterrupted, path, capsys):
    """SIGKILL, which nothing can catch. The run after it uses up the file that was left behind."""
    arguments = path, torch.get_num_threads()
    child = multiprocessing.get_context("spawn").Process(target=train_until_killed, args=arguments)
    child.start()
    child.join(300)
    assert child.exitcode == -signal.SIGKILL
    assert len(list(path.parent.iterdir())) == 2
    model = start()
    assert_same_run(model, run(model, checkpoint=path), uninterrupted)
    assert "Resuming after epoch 1." in capsys.readouterr().out
    assert list(path.parent.iterdir()) == []


def test_metrics_are_resumed_and_what_a_checkpoint_cannot_hold_is_refused_by_name(path, capsys):
    metrics = {"f1": np.float64(0.1), "n": np.int64(3), "each": [np.float32(0.5)], "loss": torch.tensor(2.0), "to": "x"}
    plain = {"f1": 0.1, "n": 3, "each": [0.5], "loss": 2.0, "to": "x"}
    with pytest.raises(KeyboardInterrupt):
        run(start(), checkpoint=path, extra_metrics=lambda state: stop_in_second_epoch(state) or metrics)
    history = run(start(), checkpoint=path)
    assert "Resuming after epoch 1." in capsys.readouterr().out
    assert {name: history[0][name] for name in plain} == plain
    for value in (np.arange(3), np.datetime64("2024-01-01"), Path("x"), lambda: 1):
        with pytest.raises(ValueError, match=r"extra_metrics' 'bad' is of type .* a number, a text"):
            run(start(), epochs=2, extra_metrics=lambda state, value=value: {"bad": value})


class Hostile:
    """An object that would create a folder, `mark`, if it were unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def test_fit_refuses_a_file_that_is_no_checkpoint_and_runs_no_code(path, tmp_path):
    mark = tmp_path / "mark"
    path.parent.mkdir()
    for content in (Net().state_dict(), {"settings": Hostile(mark)}):
        torch.save(content, path)
        with pytest.raises(ValueError, match=r"is damaged or not a checkpoint; use another file") as error:
            run(start(), checkpoint=path)
        assert str(path) in str(error.value)
    assert not mark.exists()
    torch.load(path, weights_only=False)  # otherwise the test proves nothing: this does run the code
    assert mark.exists()


def sgd(model, lr):
    return [torch.optim.SGD(model.parameters(), lr)]


sgd.__qualname__ = "muon_and_adam"  # as two lambdas have the same name

OTHER_SETTINGS = {
    "lr": {"lr": 0.1},
    "schedule": {"schedule": functools.partial(utils.one_cycle, warmup=0.3)},
    "model": {"model": Net(dropout=0.2)},
    "train": {"splits": (utils.Split(255 - IMAGES[:100], LABELS[:100]), SPLITS[1])},
    "what make_optimizers returns": {"make_optimizers": sgd},
}


def test_fit_refuses_the_checkpoint_of_another_run_and_names_the_difference(path):
    with pytest.raises(KeyboardInterrupt):
        run(start(), checkpoint=path, extra_metrics=stop_in_second_epoch)
    content = path.read_bytes()
    for name, settings in OTHER_SETTINGS.items():
        with pytest.raises(ValueError, match=rf"belongs to another run: {name} (was .* and is now|has changed)"):
            run(**({"model": start()} | settings), checkpoint=path)
    assert path.read_bytes() == content


def test_disk_error_costs_one_checkpoint_and_not_the_run(uninterrupted, path, monkeypatch, capsys):
    """The second of two checkpoints fails."""
    write_bytes, calls = Path.write_bytes, []

    def fail_second_time(self, content):
        calls.append(1)
        write_bytes(self, content[: len(content) // len(calls)])
        if len(calls) == 2:
            raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_bytes", fail_second_time)
    model = start()
    assert_same_run(model, run(model, checkpoint=path), uninterrupted)
    assert capsys.readouterr().out.count(f"Checkpoint {path} cannot be written: ") == 1
    assert list(path.parent.iterdir()) == []


def test_non_finite_loss_keeps_the_last_good_weights_and_checkpoint(uninterrupted, path):
    """Without the cause, the run resumes from there."""
    model, logits = start(), []

    def sabotage(state):
        logits.append(utils.compute_logits(model, SPLITS[1].images))
        state.lr_schedule.fill_(torch.inf)

    with pytest.raises(FloatingPointError, match=r"epoch 2, step 2: the loss is nan"):
        run(model, checkpoint=path, extra_metrics=sabotage)
    torch.testing.assert_close(utils.compute_logits(model, SPLITS[1].images), logits[0], atol=1e-4, rtol=1e-4)
    assert_same_run(model, run(model, checkpoint=path), uninterrupted)
