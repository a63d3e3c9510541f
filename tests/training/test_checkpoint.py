"""What is no checkpoint is refused, and a disk that fails costs the checkpoint and not the run."""

import errno
import hashlib
import io
import math
import os
import pickle
import random
from pathlib import Path

import pytest
import torch
from helpers import Hostile
from interrupted import EPOCHS, run, run_until, same_weights, start, without_seconds

import utils
from model import Net
from training import checkpoint
from training.checkpoint import pack, unpack

pytestmark = pytest.mark.numeric

try:
    import resource
except ImportError:
    resource = None


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
    "weights": lambda good, mark: pack(Net().state_dict()),
    "list": lambda good, mark: pack([1, 2]),
    "identity of a number": lambda good, mark: pack({"identity": 5}),
    "identity alone": lambda good, mark: pack({"identity": unpack(good)["identity"]}),
    "hostile": lambda good, mark: pack({"identity": Hostile(mark)}),
    "hostile pickle": lambda good, mark: sealed(pickle.dumps(Hostile(mark), protocol=2)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_checkpoint_is_refused_and_runs_no_code(tiny, half, tmp_path, kind):
    mark = tmp_path / "mark"
    half.write_bytes(FOREIGN[kind](half.read_bytes(), mark))
    with pytest.raises(ValueError, match=r"is torn, or no checkpoint: name another file") as error:
        run(start(), tiny, epochs=2, checkpoint=half)
    assert str(half) in str(error.value)
    assert not mark.exists()


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_is_noticed(tiny, half, seed):
    """Anywhere: the archive's own checksums are not looked at when it is loaded."""
    content = bytearray(half.read_bytes())
    content[random.Random(seed).randrange(len(content))] ^= 1 << seed % 8
    half.write_bytes(content)
    with pytest.raises(ValueError, match=r"is torn, or no checkpoint: name another file"):
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


@pytest.mark.skipif(resource is None, reason="Windows sets no limits to a file's size")
def test_a_torn_write_keeps_the_checkpoint_before_it(tiny, path, monkeypatch, capsys):
    """A disk that is really full, as far as the second checkpoint can see: no file may grow beyond 20,000 bytes."""
    pack, calls = checkpoint.pack, []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def pack_before_a_full_disk(content):
        calls.append(1)
        if len(calls) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        return pack(content)

    monkeypatch.setattr("training.checkpoint.pack", pack_before_a_full_disk)
    try:
        run_until(3, start(), tiny, checkpoint=path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    monkeypatch.undo()
    assert f"Checkpoint {path} cannot be written: " in capsys.readouterr().out
    assert list(path.parent.iterdir()) == [path]
    assert [row["epoch"] for row in unpack(path.read_bytes())["history"]] == [1]
    assert [row["epoch"] for row in run(start(), tiny, checkpoint=path)] == [1, 2, 3, 4]


def refuse_to_write(monkeypatch, folder, fault=errno.EROFS):
    """Make the disk under `folder` read-only, also for root, whom no permission stops."""
    replaced = {name: getattr(os, name) for name in ("open", "mkdir", "unlink", "replace")} | {"io": io.open}

    def guard(name, writes=lambda *_: True):
        def guarded(path, *arguments, **options):
            if str(path).startswith(str(folder)) and writes(*arguments):
                raise OSError(fault, os.strerror(fault), str(path))
            return replaced[name](path, *arguments, **options)

        return guarded

    for name in ("mkdir", "unlink", "replace"):
        monkeypatch.setattr(os, name, guard(name))
    monkeypatch.setattr(os, "open", guard("open", lambda flags, *_: flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)))
    monkeypatch.setattr(io, "open", guard("io", lambda mode="r", *_: mode[0] != "r"))


def fail_if_called(*_, **__):
    raise AssertionError("a step was trained")


@pytest.mark.parametrize("fault", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("name", ["run.checkpoint", "new/run.checkpoint"])
def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(tiny, tmp_path, monkeypatch, name, fault):
    refuse_to_write(monkeypatch, tmp_path, fault)
    monkeypatch.setattr("utils.run_epoch", fail_if_called)
    path = tmp_path / name
    with pytest.raises(
        ValueError, match=rf"cannot be written: {os.strerror(fault)}; name a file in .*, or train"
    ) as error:
        run(start(), tiny, checkpoint=path)
    assert str(error.value).startswith(f"checkpoint {path} ")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc, where not even root can make a file")
def test_a_folder_where_nobody_can_write_is_refused(tiny, monkeypatch):
    monkeypatch.setattr("utils.run_epoch", fail_if_called)
    with pytest.raises(ValueError, match=r"checkpoint /proc/new/run.checkpoint cannot be written: No such file"):
        run(start(), tiny, checkpoint="/proc/new/run.checkpoint")


def test_a_file_in_the_folder_s_place_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("utils.run_epoch", fail_if_called)
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file.run.checkpoint cannot be (read|written): .*; name "):
        run(start(), tiny, checkpoint=tmp_path / "file" / "run.checkpoint")


def test_the_checkpoint_in_a_folder_that_has_become_read_only_is_kept(tiny, half, monkeypatch):
    before = half.read_bytes()
    model = start()
    weights = [p.tolist() for p in model.parameters()]
    refuse_to_write(monkeypatch, half.parent)
    with pytest.raises(ValueError, match="cannot be written: "):
        run(model, tiny, epochs=2, checkpoint=half)
    assert half.read_bytes() == before
    assert [p.tolist() for p in model.parameters()] == weights


def test_a_checkpoint_that_cannot_be_removed_costs_a_sentence_and_not_the_run(tiny, whole, path, monkeypatch, capsys):
    """Its folder has become read-only while the run went on. The checkpoint that stays is still one to go on from."""
    calls = []

    def become_read_only(trainer):
        calls.append(1)
        if len(calls) == EPOCHS:
            refuse_to_write(monkeypatch, path.parent)

    model = start(dropout=0.1)
    history = run(model, tiny, checkpoint=path, extra=become_read_only)
    assert without_seconds(history) == without_seconds(whole[1])
    assert same_weights(model, whole[0])
    told = [line for line in capsys.readouterr().out.splitlines() if str(path) in line]
    why = os.strerror(errno.EROFS)
    assert told == [f"The run is complete, but {path} cannot be deleted: {why}. Delete it by hand."]
    monkeypatch.undo()
    assert without_seconds(run(start(dropout=0.1), tiny, checkpoint=path)) == without_seconds(whole[1])


def test_two_processes_never_write_into_one_file(tmp_path, monkeypatch):
    """Such as an open notebook and `make run`; both then put a whole checkpoint in place."""
    first = checkpoint.Checkpoint(tmp_path / "run.checkpoint", {})
    monkeypatch.setattr(os, "getpid", lambda: 1)
    other = checkpoint.Checkpoint(tmp_path / "run.checkpoint", {})
    assert first.new != other.new
    other.new.touch()  # it was killed while it wrote
    (tmp_path / "run.checkpoint.new").touch()  # somebody else's
    first.remove()
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint.new"]


def test_a_missing_folder_is_made(tiny, tmp_path):
    path = tmp_path / "new" / "run.checkpoint"
    run_until(2, start(), tiny, epochs=2, checkpoint=path)
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
