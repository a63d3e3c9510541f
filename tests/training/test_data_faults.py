"""MNIST's files missing, torn, swapped, altered or out of reach: used only when whole, and never replaced."""

import errno
import gzip
import http.client
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import ROOT

import utils
from training.data import MNIST, UNPACKED

ARCHIVES = ROOT / "data" / "MNIST" / "raw"
NAMES = list(UNPACKED)
LABELS = "t10k-labels-idx1-ubyte"  # the smallest


@pytest.fixture
def offline(monkeypatch):
    """No network: whatever is asked for is noted and not had."""
    asked = []

    def download(url, folder, md5):
        asked.append(url)
        raise OSError(f"<urlopen error: no network for {url}>")

    monkeypatch.setattr("training.data.download_url", download)
    return asked


@pytest.fixture
def online(monkeypatch):
    """A network that has the committed archives."""
    asked = []

    def download(url, folder, md5):
        asked.append(url)
        shutil.copy(ARCHIVES / url.rsplit("/", 1)[1], folder)

    monkeypatch.setattr("training.data.download_url", download)
    return asked


def load(raw):
    return utils.load_mnist(raw.parent.parent)


def is_mnist(splits, mnist):
    return all(
        torch.equal(ours, right.cpu())
        for a, b in zip(splits, mnist, strict=True)
        for ours, right in zip(a, b, strict=True)
    )


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


FAULTS = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "one byte short": lambda content: content[:-1],
    "one byte long": lambda content: content + b"\0",
    "one bit flipped": flip_a_bit,
    "another file's": lambda content: (ARCHIVES / "train-labels-idx1-ubyte.gz").read_bytes(),
    "a web page": lambda content: b"<!DOCTYPE html><title>404</title>",
}


def put(path, content):
    path.unlink(missing_ok=True)
    path.write_bytes(content)


@pytest.mark.parametrize("fault", FAULTS)
def test_an_archive_that_is_not_mnist_s_is_named_and_never_replaced(raw, online, fault):
    """Whether it is torn or another data set's, nobody can tell; it may be the only one of its kind."""
    archive = raw / f"{LABELS}.gz"
    content = FAULTS[fault](archive.read_bytes())
    put(archive, content)
    with pytest.raises(OSError, match=f"{LABELS} cannot be had") as error:
        load(raw)
    message = str(error.value)
    assert f"{archive} is torn or not MNIST's: {len(content):,} bytes" in message
    assert f"{LABELS}.gz is not replaced: move it away and try again, to download it, or name another folder" in message
    assert archive.read_bytes() == content
    assert online == []
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{name}.gz" for name in NAMES)
    archive.unlink()
    load(raw)  # as it said
    assert len(online) == 1


def test_another_data_set_s_files_are_left_as_they_are(tmp_path, online):
    """Fashion-MNIST has files of the same names."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name in NAMES:
        put(raw / f"{name}.gz", gzip.compress(f"{name} of shirts and shoes".encode()))
    before = {path.name: path.read_bytes() for path in raw.iterdir()}
    with pytest.raises(OSError, match=r"\.gz is torn or not MNIST's"):
        load(raw)
    assert {path.name: path.read_bytes() for path in raw.iterdir()} == before


def test_what_is_missing_is_named_when_there_is_no_network(raw, offline):
    (raw / f"{LABELS}.gz").unlink()
    with pytest.raises(OSError, match=f"{LABELS} cannot be had") as error:
        load(raw)
    assert "no network" in str(error.value)
    assert f"put a whole {LABELS}.gz into {raw}" in str(error.value)
    assert len(offline) == 2  # both mirrors were asked


@pytest.mark.parametrize("fault", FAULTS)
def test_beside_a_bad_unpacked_file_the_archive_is_downloaded(raw, online, mnist, fault):
    content = FAULTS[fault](b"12345678")
    (raw / f"{LABELS}.gz").unlink()
    put(raw / LABELS, content)
    assert is_mnist(load(raw), mnist)
    assert len(online) == 1
    assert (raw / LABELS).read_bytes() == content


# --- The folder ---


@pytest.mark.parametrize("inner", [".", "MNIST", "MNIST/raw"])
@pytest.mark.parametrize("unpacked", [False, True])
def test_an_inner_folder_is_as_good(raw, offline, mnist, inner, unpacked):
    root = raw.parent.parent
    if unpacked:
        for name in NAMES:
            archive = raw / f"{name}.gz"
            (raw / name).write_bytes(gzip.decompress(archive.read_bytes()))
            archive.unlink()
    before = sorted(root.rglob("*"))
    assert is_mnist(utils.load_mnist(root / inner), mnist)
    assert offline == []
    assert sorted(root.rglob("*")) == before


def test_what_is_missing_in_an_inner_folder_is_downloaded_there(raw, online, mnist):
    (raw / f"{LABELS}.gz").unlink()
    assert is_mnist(utils.load_mnist(raw), mnist)
    assert len(online) == 1
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{name}.gz" for name in NAMES)


@pytest.mark.parametrize("root", [".", "new", "new/deep", "old"])
def test_a_wrong_folder_is_left_as_it_was(tmp_path, offline, root):
    (tmp_path / "old" / "MNIST").mkdir(parents=True)  # empty, but not ours to take away
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OSError, match="cannot be had"):
        utils.load_mnist(tmp_path / root)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_download_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    def download(url, folder, md5):
        (Path(folder) / "half").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr("training.data.download_url", download)
    with pytest.raises(KeyboardInterrupt):
        utils.load_mnist(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


# --- What is torn ---


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_unpacked_file_is_passed_over_for_its_archive(raw, offline, mnist, fault):
    unpacked = gzip.decompress((raw / f"{LABELS}.gz").read_bytes())
    (raw / LABELS).write_bytes(FAULTS[fault](unpacked))
    assert is_mnist(load(raw), mnist)
    assert offline == []


@pytest.mark.parametrize("name", NAMES)
def test_an_unpacked_file_alone_is_enough(raw, offline, mnist, name):
    archive = raw / f"{name}.gz"
    (raw / name).write_bytes(gzip.decompress(archive.read_bytes()))
    archive.unlink()
    assert is_mnist(load(raw), mnist)
    assert offline == []


def test_both_bad_are_both_named(raw, offline):
    put(raw / LABELS, b"torn")
    put(raw / f"{LABELS}.gz", b"torn too")
    with pytest.raises(OSError, match="cannot be had") as error:
        load(raw)
    assert f"{raw / LABELS} is torn or not MNIST's: 4 bytes" in str(error.value)
    assert f"{raw / LABELS}.gz is torn or not MNIST's: 8 bytes" in str(error.value)


def test_nothing_there_and_no_network(tmp_path, offline):
    with pytest.raises(OSError, match=r"train-images-idx3-ubyte cannot be had") as error:
        utils.load_mnist(tmp_path / "nowhere")
    assert "Connect to the network" in str(error.value)


def test_nothing_there_is_downloaded(tmp_path, online, mnist):
    assert is_mnist(utils.load_mnist(tmp_path / "new"), mnist)
    assert len(online) == 4


@pytest.mark.parametrize("error", [OSError(), RuntimeError("not found or corrupted"), http.client.IncompleteRead(b"")])
def test_the_second_mirror_is_asked_when_the_first_fails(tmp_path, monkeypatch, mnist, error):
    asked = []

    def download(url, folder, md5):
        asked.append(url)
        if url.startswith(MNIST.mirrors[0]):
            raise error
        shutil.copy(ARCHIVES / url.rsplit("/", 1)[1], folder)

    monkeypatch.setattr("training.data.download_url", download)
    assert is_mnist(utils.load_mnist(tmp_path), mnist)
    assert len(asked) == 8


@pytest.mark.parametrize("fault", [errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_read_is_named(raw, offline, monkeypatch, fault):
    read_bytes = Path.read_bytes

    def refuse(path):
        if path.name == f"{LABELS}.gz":
            raise OSError(fault, os.strerror(fault), str(path))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(OSError, match=f"{LABELS}.gz cannot be read: {os.strerror(fault)}"):
        load(raw)


def test_a_folder_in_a_file_s_place_is_named(raw, offline):
    (raw / f"{LABELS}.gz").unlink()
    (raw / f"{LABELS}.gz").mkdir()
    with pytest.raises(OSError, match=f"{LABELS}.gz cannot be read: "):
        load(raw)


def test_a_full_disk_is_told_and_leaves_nothing(raw, monkeypatch):
    def download(url, folder, md5):
        (Path(folder) / "half").write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (raw / f"{LABELS}.gz").unlink()
    monkeypatch.setattr("training.data.download_url", download)
    with pytest.raises(OSError, match="No space left on device"):
        load(raw)
    assert sorted(path.name for path in raw.iterdir()) == sorted(f"{n}.gz" for n in NAMES if n != LABELS)


def test_nothing_is_written_where_nothing_is_missing(raw, mnist):
    """So a read-only folder will do, and two processes cannot disturb each other."""
    before = sorted((path.name, path.stat().st_mtime_ns) for path in raw.iterdir())
    assert is_mnist(load(raw), mnist)
    assert sorted((path.name, path.stat().st_mtime_ns) for path in raw.iterdir()) == before


# Each process writes half a file, waits until the other has done so too, and writes the rest.
LOADER = """
import os, pathlib, sys, time
from training import data
root, archives, meeting = map(pathlib.Path, sys.argv[1:])
def download(url, folder, md5):
    name = url.rsplit("/", 1)[1]
    content = (archives / name).read_bytes()
    with open(f"{folder}/{name}", "wb") as file:
        file.write(content[: len(content) // 2])
        file.flush()
        (meeting / f"{name}.{os.getpid()}").touch()
        while len(list(meeting.glob(f"{name}.*"))) < 2:
            time.sleep(0.01)
        file.write(content[len(content) // 2 :])
data.download_url = download
train, test = data.load_mnist(root)
print(len(train.labels), int(train.images.sum()), int(test.images.sum()))
"""


def test_two_processes_may_load_at_the_same_time(tmp_path, mnist):
    meeting, root = tmp_path / "meeting", tmp_path / "data"
    meeting.mkdir()
    command = [sys.executable, "-c", LOADER, str(root), str(ARCHIVES), str(meeting)]
    both = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        printed = [process.communicate(timeout=300)[0] for process in both]
    finally:
        for process in both:
            process.kill()
    expected = f"60000 {int(mnist[0].images.sum())} {int(mnist[1].images.sum())}\n"
    assert printed == [expected, expected]
    assert len(list(meeting.iterdir())) == 8  # so both were in the middle of each of the four files at once
    assert sorted(path.name for path in (root / "MNIST" / "raw").iterdir()) == sorted(f"{n}.gz" for n in NAMES)
