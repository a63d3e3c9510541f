"""MNIST: counts, classes and checksums; damaged and missing files; the order of an epoch."""

import gzip
import math
import shutil
import subprocess
import sys

import pytest
import torch
import torchvision
from helpers import ROOT

import utils
from training.augmentation import MEAN, STD
from training.data import FILES, shuffled_batches

pytestmark = pytest.mark.numeric

CLASSES = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}
LABELS = "t10k-labels-idx1-ubyte"  # the smallest file


@pytest.mark.parametrize(("part", "n"), [("train", 60_000), ("test", 10_000)])
def test_split_shapes_and_classes(mnist, device, part, n):
    split = mnist[part == "test"]
    assert split.images.shape == (n, 1, 28, 28)
    assert split.images.dtype == torch.uint8
    assert split.labels.shape == (n,)
    assert split.labels.dtype == torch.int64
    assert split.images.device.type == split.labels.device.type == device.type
    assert torch.bincount(split.labels).tolist() == CLASSES[part]


@pytest.mark.parametrize("part", [0, 1])
def test_load_mnist_agrees_with_torchvision(raw, mnist, part):
    dataset = torchvision.datasets.MNIST(raw.parent.parent, train=part == 0, download=True)
    assert torch.equal(mnist[part].images[:, 0].cpu(), dataset.data)
    assert torch.equal(mnist[part].labels.cpu(), dataset.targets)


def test_mean_and_std_are_those_of_the_training_images(mnist):
    counts = torch.bincount(mnist[0].images.flatten().long().cpu(), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * values).sum() / counts.sum()
    std = ((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt()
    assert round(mean.item(), 4) == MEAN
    assert round(std.item(), 4) == STD


def test_normalize_agrees_with_torchvision(mnist):
    images = mnist[1].images[:10]
    expected = torchvision.transforms.Normalize((MEAN,), (STD,))(images.float() / 255)
    torch.testing.assert_close(utils.normalize(images), expected)


# --- Files ---


def same_as(mnist, splits):
    pairs = zip([*splits[0], *splits[1]], [*mnist[0], *mnist[1]], strict=True)
    return all(torch.equal(own, part.cpu()) for own, part in pairs)


def flip_a_bit(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


FAULTS = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[:-1],
    "one bit flipped": flip_a_bit,
    "a web page": lambda content: b"<!DOCTYPE html><title>404</title>",
    "another data set's": lambda content: gzip.compress(b"shirts and shoes"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_load_mnist_refuses_a_wrong_archive_and_keeps_it(raw, monkeypatch, fault):
    monkeypatch.setattr("torchvision.datasets.MNIST", None)  # so nothing can be downloaded
    archive = raw / f"{LABELS}.gz"
    content = FAULTS[fault](archive.read_bytes())
    archive.write_bytes(content)
    with pytest.raises(OSError, match=r"cannot be used: .*\. Move it away and try again to download it") as error:
        utils.load_mnist(raw.parent.parent)
    assert str(archive) in str(error.value)
    assert archive.read_bytes() == content


def test_load_mnist_reports_every_wrong_file(raw):
    for name in FILES:
        (raw / f"{name}.gz").write_bytes(b"")
    with pytest.raises(OSError) as error:  # noqa: PT011 - the message is checked below
        utils.load_mnist(raw.parent.parent)
    assert all(str(raw / name) in str(error.value) for name in FILES)


def test_load_mnist_reads_unpacked_files(raw, mnist):
    for name in FILES:
        (raw / name).write_bytes(gzip.decompress((raw / f"{name}.gz").read_bytes()))
        (raw / f"{name}.gz").unlink()
    assert same_as(mnist, utils.load_mnist(raw.parent.parent))


def test_load_mnist_downloads_what_is_missing(raw, mnist, monkeypatch):
    (raw / f"{LABELS}.gz").unlink()

    def download(root, download):
        assert download
        shutil.copy(ROOT / "data" / "MNIST" / "raw" / f"{LABELS}.gz", root / "MNIST" / "raw")

    monkeypatch.setattr("torchvision.datasets.MNIST", download)
    assert same_as(mnist, utils.load_mnist(raw.parent.parent))


def test_load_mnist_without_network_says_where_to_put_the_files(tmp_path, monkeypatch):
    def fail(root, download):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr("torchvision.datasets.MNIST", fail)
    with pytest.raises(OSError, match=r"cannot be downloaded: Error downloading .* or put train-images") as error:
        utils.load_mnist(tmp_path)
    assert str(tmp_path / "MNIST" / "raw") in str(error.value)


def test_import_utils_needs_neither_matplotlib_nor_torchvision():
    code = "import sys, utils; sys.exit(bool({'matplotlib', 'torchvision', 'scipy'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


# --- Order ---


@pytest.mark.parametrize(("n", "batch_size"), [(60_000, 128), (1280, 128), (5, 4), (3, 8), (1, 1)])
def test_shuffled_batches_contain_every_image_and_are_full(n, batch_size):
    order = shuffled_batches(n, batch_size, torch.Generator().manual_seed(0))
    assert order.shape == (math.ceil(n / batch_size), batch_size)
    assert order.flatten()[:n].sort().values.tolist() == list(range(n))
    assert torch.equal(order.flatten()[n:], order.flatten().repeat(8)[: order.numel() - n])


def test_shuffled_batches_depend_on_the_seed_only():
    orders = [shuffled_batches(1280, 128, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0].flatten(), torch.arange(1280))


def test_hold_out_is_stratified_and_leaves_nothing_out(mnist):
    rest, held_out = utils.hold_out(mnist[0])
    assert len(rest.labels) + len(held_out.labels) == 60_000
    wanted = torch.tensor(CLASSES["train"]) / 6
    assert (torch.bincount(held_out.labels.cpu()) - wanted).abs().max() <= 1
