"""MNIST is the same as torchvision's; batches; wrong and missing files."""

import gzip
import math
import os
import shutil

import pytest
import torch
import torchvision
from helpers import ROOT

import utils
from training.data import FILES, shuffled_batches


@pytest.fixture
def raw(tmp_path):
    """A copy of the four archives, in the layout that `load_mnist` reads."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(ROOT / "data" / "MNIST" / "raw" / f"{name}.gz", folder)
    return folder


def test_load_mnist_agrees_with_torchvision(raw, mnist, device):
    for split, train in zip(mnist, (True, False), strict=True):
        dataset = torchvision.datasets.MNIST(raw.parent.parent, train=train, download=True)
        assert split.images.device.type == split.labels.device.type == device.type
        assert split.images.dtype == torch.uint8
        assert torch.equal(split.images.cpu(), dataset.data[:, None])
        assert torch.equal(split.labels.cpu(), dataset.targets)


@pytest.mark.numeric
def test_training_images_have_mean_0_and_standard_deviation_1(mnist):
    pixels = utils.normalize(mnist[0].images)
    assert abs(pixels.mean().item()) < 1e-3  # MEAN and STD have four digits
    assert abs(pixels.std().item() - 1) < 1e-3


def test_hold_out_is_stratified_and_leaves_nothing_out(mnist):
    rest, held_out = utils.hold_out(mnist[0])
    assert len(rest.labels) + len(held_out.labels) == 60_000
    wanted = torch.bincount(mnist[0].labels) / 6
    assert (torch.bincount(held_out.labels) - wanted).abs().max() <= 1


@pytest.mark.parametrize(("n", "batch_size"), [(1, 4), (100, 32), (128, 32), (3000, 1)])
def test_shuffled_batches_contain_every_image_and_are_full(n, batch_size):
    batches = shuffled_batches(n, batch_size, torch.Generator().manual_seed(0))
    assert batches.shape == (math.ceil(n / batch_size), batch_size)
    order = batches.flatten()
    assert order[:n].sort().values.tolist() == list(range(n))
    assert torch.equal(order[n:], order.repeat(batch_size)[: len(order) - n])  # filled up from its start
    assert n == 1 or order[:n].tolist() != list(range(n))


# --- Files ---


WRONG = {
    "another data set": lambda archive: gzip.compress(b"labels of Fashion-MNIST"),
    "cut off": lambda archive: archive[:-99],
    "one bit flipped": lambda archive: archive[:60] + bytes([archive[60] ^ 1]) + archive[61:],
    "a web page": lambda archive: b"<html>Not found</html>",
}


@pytest.mark.parametrize("kind", WRONG)
def test_load_mnist_names_a_wrong_archive_and_keeps_it(raw, monkeypatch, kind):
    """Also if another one is missing."""
    monkeypatch.setattr("torchvision.datasets.MNIST", None)  # so nothing can be downloaded
    (raw / "train-images-idx3-ubyte.gz").unlink()
    wrong = raw / "t10k-labels-idx1-ubyte.gz"
    content = WRONG[kind](wrong.read_bytes())
    wrong.write_bytes(content)
    with pytest.raises(OSError, match=r"cannot be used: .*\. Move .*raw away and try again") as error:
        utils.load_mnist(raw.parent.parent)
    assert str(error.value).startswith(str(wrong))
    assert wrong.read_bytes() == content


def test_load_mnist_reads_unpacked_files_and_downloads_missing_ones(raw, mnist, monkeypatch):
    """Without a network, it says where to put them."""
    home = "USERPROFILE" if os.name == "nt" else "HOME"
    monkeypatch.setenv(home, str(raw.parent.parent))
    unpacked, missing = raw / "train-labels-idx1-ubyte.gz", raw / "t10k-labels-idx1-ubyte.gz"
    unpacked.with_suffix("").write_bytes(gzip.decompress(unpacked.read_bytes()))
    unpacked.unlink()
    missing.unlink()

    def fail(root, download):
        raise RuntimeError("Error downloading t10k-labels")

    def download(root, download):
        shutil.copy(ROOT / "data" / "MNIST" / "raw" / missing.name, root / "MNIST" / "raw")

    monkeypatch.setattr("torchvision.datasets.MNIST", fail)
    with pytest.raises(OSError, match=r"cannot be downloaded: Error downloading .* or put .* into .*MNIST.raw"):
        utils.load_mnist("~")
    monkeypatch.setattr("torchvision.datasets.MNIST", download)
    splits = utils.load_mnist("~")
    pairs = zip([*splits[0], *splits[1]], [*mnist[0], *mnist[1]], strict=True)
    assert all(torch.equal(part, expected.cpu()) for part, expected in pairs)
