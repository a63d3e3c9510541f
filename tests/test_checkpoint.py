"""A run that is interrupted goes on as if it had not been: killed, stopped, out of disk, or with a foreign file."""

import contextlib
import errno
import functools
import hashlib
import io
import math
import multiprocessing
import os
import pickle
import random
import re
import signal
import time

import pytest
import torch
from conftest import ROOT, Hostile

import utils
from model import Net

pytestmark = pytest.mark.numbers

try:
    import resource
except ImportError:
    resource = None
needs_posix = pytest.mark.skipif(resource is None, reason="Windows has neither SIGKILL nor limits to a file's size")

EPOCHS = 4
KILLS = 20


@pytest.fixture(scope="module")
def tiny(mnist):
    """Five batches of 64 training images, and 100 test images."""
    train, test = mnist
    return utils.Split(train.images[:320], train.labels[:320]), utils.Split(test.images[:100], test.labels[:100])


def start(**options):
    torch.manual_seed(0)
    return Net(**options)


def run(model, splits, **options):
    return utils.fit(model, *splits, **({"epochs": EPOCHS, "batch_size": 64} | options))


def lines(log):
    """Return the log's last state of each line, without the times, which differ from run to run."""
    shown = [line.rsplit("\r", 1)[-1] for line in log.split("\n")]
    return [re.sub(r" \[\d\d:\d\d<.*\]", "", line).rstrip() for line in shown]


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.checkpoint"


@pytest.fixture(scope="module")
def whole(tiny):
    """A run that nothing interrupted: model and history."""
    model = start(dropout=0.1)
    return model, run(model, tiny)


def stop_in(epoch):
    """Return an `extra` that is interrupted at the end of `epoch`, before that epoch counts."""
    calls = []

    def extra(trainer):
        calls.append(1)
        if len(calls) == epoch:
            raise KeyboardInterrupt
        return {}

    return extra


STEPS = 5  # an epoch of 320 images, 64 at a time


def interrupt_at(call, function):
    """Return `function`, but its call number `call` is preceded by a SIGINT, as Ctrl-C and Stop send it."""
    calls = []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == call:
            signal.raise_signal(signal.SIGINT)
        return function(*arguments, **options)

    return interrupted


# Where the signal comes: what is called then, and which call of it that is in an epoch.
MOMENTS = {
    "before the epoch": (utils, "run_epoch", lambda epoch: epoch),
    "within a step": (torch.nn.functional, "cross_entropy", lambda epoch: (STEPS + 1) * (epoch - 1) + 3),
    "between optimizers": (utils.Muon, "step", lambda epoch: STEPS * (epoch - 1) + 3),
    "within the evaluation": (torch.nn.functional, "cross_entropy", lambda epoch: (STEPS + 1) * epoch),
    "before the checkpoint is packed": (utils, "pack", lambda epoch: epoch),
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


@needs_posix
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


# --- Foreign and hostile files ---


@pytest.fixture
def half(tiny, path):
    """The checkpoint of a run of two epochs that was stopped in the second."""
    run(start(), tiny, epochs=2, checkpoint=path, extra=stop_in(2))
    assert path.exists()
    return path


OTHERS = {
    "epochs": {"epochs": 3},
    "batch_size": {"batch_size": 32},
    "lr": {"lr": 0.2},
    "schedule": {"schedule": functools.partial(utils.one_cycle, warmup=0.3)},
    "averaging": {"averaging": 0.9},
    "augment": {"augment": functools.partial(utils.random_affines, degrees=1)},
    "strength": {"strength": (1, 1)},
    "seed": {"seed": 1},
    "optimizers": {"optimizers": lambda model, lr: [torch.optim.SGD(model.parameters(), lr)]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_checkpoint_of_another_recipe_is_refused(tiny, half, name):
    before = half.read_bytes()
    with pytest.raises(ValueError, match=rf"that of another run: {name} is .* in it and .* now: delete it") as error:
        run(start(), tiny, **({"epochs": 2} | OTHERS[name]), checkpoint=half)
    assert str(half) in str(error.value)
    assert half.read_bytes() == before


def scaled(value):
    return lambda steps: value * utils.one_cycle(steps)


def test_the_checkpoint_of_a_function_that_holds_another_value_is_refused(tiny, path):
    run(start(), tiny, epochs=2, checkpoint=path, extra=stop_in(2), schedule=scaled(0.5))
    with pytest.raises(ValueError, match=r"schedule is .* with \[0.5\] in it and .* with \[0.25\] now"):
        run(start(), tiny, epochs=2, checkpoint=path, schedule=scaled(0.25))


class Scaled:
    """A schedule that is an object, and a method of one."""

    def __init__(self, value):
        self.value = value

    def __call__(self, steps):
        return self.value * utils.one_cycle(steps)


def by_default(value):
    def schedule(steps, share=value):
        return share * utils.one_cycle(steps)

    return schedule


HOLDERS = {
    "an object": Scaled,
    "a method": lambda value: Scaled(value).__call__,
    "a partial function of an object": lambda value: functools.partial(apply, Scaled(value)),
    "a closure over an object": lambda value: wrapped(Scaled(value)),
    "a closure over a tensor": lambda value: scaled(torch.tensor(value)),
    "a closure over a list": lambda value: listed([value]),
    "a default": by_default,
}


def apply(function, steps):
    return function(steps)


def listed(values):
    return lambda steps: values[0] * utils.one_cycle(steps)


def wrapped(function):
    return lambda steps: function(steps)


@pytest.mark.parametrize("holder", HOLDERS)
def test_what_a_function_holds_is_part_of_the_recipe(tiny, path, holder):
    """The same in another object is the same recipe, wherever in memory it lies; another value is another recipe."""
    make = HOLDERS[holder]
    first = make(0.5)
    run(start(), tiny, epochs=2, checkpoint=path, extra=stop_in(2), schedule=first)
    with pytest.raises(ValueError, match="that of another run: schedule is"):
        run(start(), tiny, epochs=2, checkpoint=path, schedule=make(0.25))
    assert len(run(start(), tiny, epochs=2, checkpoint=path, schedule=make(0.5))) == 2


def test_what_cannot_be_told_from_another_is_refused(tiny, path):
    numbers = (number for number in (1, 2))

    def schedule(steps):
        return next(numbers) * utils.one_cycle(steps)

    with pytest.raises(ValueError, match="what the recipe holds is of type generator; it must be"):
        run(start(), tiny, epochs=2, checkpoint=path, schedule=schedule)


def test_the_checkpoint_of_a_network_that_computes_otherwise_is_refused(tiny, half):
    """With the same name and the same layers."""

    class Other(Net):
        def forward(self, images):
            return super().forward(images.flip(-1))

    Other.__name__ = Other.__qualname__ = "Net"
    with pytest.raises(ValueError, match=r"another run: architecture is "):
        run(Other(), tiny, epochs=2, checkpoint=half)


def test_the_checkpoint_of_another_network_is_refused(tiny, half):
    with pytest.raises(ValueError, match=r"another run: architecture is "):
        run(start(dropout=0.5), tiny, epochs=2, checkpoint=half)


def test_the_checkpoint_of_other_images_is_refused(tiny, half):
    train = utils.Split(*(part[:64] for part in tiny[0]))
    with pytest.raises(ValueError, match=r"another run: images is "):
        run(start(), (train, tiny[1]), epochs=2, checkpoint=half)


@pytest.mark.parametrize(("name", "value"), [("torch", "1.0"), ("utils.py", 1), ("threads", 64)])
def test_the_checkpoint_of_another_version_is_refused(tiny, half, name, value):
    saved = utils.unpack(half.read_bytes())
    saved["identity"][name] = value
    half.write_bytes(utils.pack(saved))
    with pytest.raises(ValueError, match=rf"another run: {name} is {value} in it and "):
        run(start(), tiny, epochs=2, checkpoint=half)


def sealed(content):
    """Return `content`, bytes, as a checkpoint with the right checksum."""
    return hashlib.sha256(content).digest() + content


# What a file that is no checkpoint holds: a function of a good one's bytes and the mark that hostile code would leave.
FOREIGN = {
    "empty": lambda good, mark: b"",
    "text": lambda good, mark: b"not a checkpoint",
    "sealed text": lambda good, mark: sealed(b"not a checkpoint"),
    "sealed nothing": lambda good, mark: sealed(b""),
    "torn": lambda good, mark: good[: len(good) // 2],
    "sealed half": lambda good, mark: sealed(good[32 : len(good) // 2]),
    "weights": lambda good, mark: utils.pack(Net().state_dict()),
    "list": lambda good, mark: utils.pack([1, 2]),
    "identity of a number": lambda good, mark: utils.pack({"identity": 5}),
    "identity alone": lambda good, mark: utils.pack({"identity": utils.unpack(good)["identity"]}),
    "hostile": lambda good, mark: utils.pack({"identity": Hostile(mark)}),
    "hostile pickle": lambda good, mark: sealed(pickle.dumps(Hostile(mark), protocol=2)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_checkpoint_is_refused_and_runs_no_code(tiny, half, tmp_path, kind):
    mark = tmp_path / "mark"
    half.write_bytes(FOREIGN[kind](half.read_bytes(), mark))
    with pytest.raises(ValueError, match=r"is torn, or none of ours: delete it") as error:
        run(start(), tiny, epochs=2, checkpoint=half)
    assert str(half) in str(error.value)
    assert not mark.exists()


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_is_noticed(tiny, half, seed):
    """Anywhere: the archive's own checksums are not looked at when it is loaded."""
    content = bytearray(half.read_bytes())
    content[random.Random(seed).randrange(len(content))] ^= 1 << seed % 8
    half.write_bytes(content)
    with pytest.raises(ValueError, match=r"is torn, or none of ours: delete it"):
        run(start(), tiny, epochs=2, checkpoint=half)


@pytest.mark.parametrize("fault", [errno.EACCES, errno.EIO, errno.EISDIR])
def test_a_checkpoint_that_cannot_be_read_is_not_to_be_deleted(tiny, half, monkeypatch, fault):
    read_bytes = type(half).read_bytes

    def fail(path):
        if path == half:
            raise OSError(fault, os.strerror(fault))
        return read_bytes(path)

    monkeypatch.setattr(type(half), "read_bytes", fail)
    with pytest.raises(ValueError, match=rf"cannot be read: {os.strerror(fault)}; name another file"):
        run(start(), tiny, epochs=2, checkpoint=half)


def test_a_folder_is_no_checkpoint(tiny, tmp_path):
    with pytest.raises(ValueError, match=r"cannot be read: .*; name another file"):
        run(start(), tiny, epochs=2, checkpoint=tmp_path)


def test_the_hostile_file_would_have_run(tmp_path):
    """Else the test above proves nothing."""
    torch.save({"identity": Hostile(tmp_path / "mark")}, tmp_path / "hostile")
    torch.load(tmp_path / "hostile", weights_only=False)
    assert (tmp_path / "mark").exists()


# --- The disk ---


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("moment", ["write", "flush", "rename"])
def test_a_disk_that_fails_costs_the_checkpoint_and_not_the_run(tiny, whole, path, monkeypatch, capsys, fault, moment):
    def fail(*_, **__):
        raise OSError(fault, os.strerror(fault))

    if moment == "write":
        to_open = type(path).open

        def open_but_new(path, *args, **options):
            return fail() if path.suffix == ".new" else to_open(path, *args, **options)

        monkeypatch.setattr(type(path), "open", open_but_new)
    elif moment == "flush":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        monkeypatch.setattr(type(path), "replace", fail)
    model = start(dropout=0.1)
    history = run(model, tiny, checkpoint=path)
    printed = capsys.readouterr().out
    assert printed.count(f"Checkpoint {path} cannot be written: ") == EPOCHS - 1
    assert os.strerror(fault) in printed
    assert without_seconds(history) == without_seconds(whole[1])
    assert same_weights(model, whole[0])
    assert list(path.parent.iterdir()) == []


@needs_posix
def test_a_torn_write_keeps_the_checkpoint_before_it(tiny, path, monkeypatch, capsys):
    """A disk that is really full, as far as the second checkpoint can see: no file may grow beyond 20,000 bytes."""
    pack, calls = utils.pack, []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def pack_before_a_full_disk(content):
        calls.append(1)
        if len(calls) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        return pack(content)

    monkeypatch.setattr(utils, "pack", pack_before_a_full_disk)
    try:
        run(start(), tiny, checkpoint=path, extra=stop_in(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    monkeypatch.undo()
    assert f"Checkpoint {path} cannot be written: " in capsys.readouterr().out
    assert list(path.parent.iterdir()) == [path]
    assert [row["epoch"] for row in utils.unpack(path.read_bytes())["history"]] == [1]
    assert [row["epoch"] for row in run(start(), tiny, checkpoint=path)] == [1, 2, 3, 4]


def test_a_missing_folder_is_made(tiny, tmp_path):
    path = tmp_path / "new" / "run.checkpoint"
    run(start(), tiny, epochs=2, checkpoint=path, extra=stop_in(2))
    assert path.exists()


def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(tiny, whole, path):
    """And its weights. With the cause gone, the run goes on from there."""
    model, tested = start(dropout=0.1), []

    def sabotage(trainer):
        tested.append(utils.compute_logits(model, tiny[1].images))
        trainer.rates.fill_(math.inf)
        return {}

    with pytest.raises(FloatingPointError, match=r"epoch 2, step 2: the loss is nan"):
        run(model, tiny, checkpoint=path, extra=sabotage)
    assert torch.equal(utils.compute_logits(model, tiny[1].images), tested[0])
    history = run(model, tiny, checkpoint=path)
    assert without_seconds(history) == without_seconds(whole[1])
    assert same_weights(model, whole[0])
