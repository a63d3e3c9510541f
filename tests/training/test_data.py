"""MNIST: the same as torchvision's; wrong and missing files."""

import gzip
import shutil

import pytest
import torch
import torchvision
from helpers import ROOT

import utils
from training.data import MEAN, STD


def test_load_mnist_agrees_with_torchvision(raw, mnist, device):
    for split, train in zip(mnist, (True, False), strict=True):
        dataset = torchvision.datasets.MNIST(raw.parent.parent, train=train, download=True)
        assert split.images.device.type == split.labels.device.type == device.type
        assert split.images.dtype == torch.uint8
        assert torch.equal(split.images.cpu(), dataset.data[:, None])
        assert torch.equal(split.labels.cpu(), dataset.targets)


def test_mean_and_std_are_those_of_the_training_images(mnist):
    counts = torch.bincount(mnist[0].images.flatten().long().cpu(), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * values).sum() / counts.sum()
    variance = (counts * (values - mean) ** 2).sum() / counts.sum()
    assert (round(mean.item(), 4), round(variance.sqrt().item(), 4)) == (MEAN, STD)


@pytest.mark.numeric
def test_normalize_agrees_with_torchvision(mnist):
    images = mnist[1].images[:10]
    expected = torchvision.transforms.Normalize((MEAN,), (STD,))(images.float() / 255)
    torch.testing.assert_close(utils.normalize(images), expected)


def test_hold_out_is_stratified_and_leaves_nothing_out(mnist):
    rest, held_out = utils.hold_out(mnist[0])
    assert len(rest.labels) + len(held_out.labels) == 60_000
    wanted = torch.bincount(mnist[0].labels) / 6
    assert (torch.bincount(held_out.labels) - wanted).abs().max() <= 1


# --- Files ---


def test_load_mnist_reports_every_wrong_archive_and_keeps_it(raw, monkeypatch):
    monkeypatch.setattr("torchvision.datasets.MNIST", None)  # so nothing can be downloaded
    other = gzip.compress(b"labels of Fashion-MNIST")
    wrong = [raw / "train-labels-idx1-ubyte.gz", raw / "t10k-labels-idx1-ubyte.gz"]
    for path in wrong:
        path.write_bytes(other)
    with pytest.raises(OSError, match=r"cannot be used: .*\. Move it away and try again to download it") as error:
        utils.load_mnist(raw.parent.parent)
    assert [line.split(" cannot be used: ")[0] for line in str(error.value).splitlines()] == list(map(str, wrong))
    assert all(path.read_bytes() == other for path in wrong)


def test_load_mnist_reads_unpacked_files_and_downloads_missing_ones(raw, mnist, monkeypatch):
    monkeypatch.setenv("HOME", str(raw.parent.parent.parent))
    monkeypatch.setenv("USERPROFILE", str(raw.parent.parent.parent))
    unpacked, missing = raw / "train-labels-idx1-ubyte.gz", raw / "t10k-labels-idx1-ubyte.gz"
    unpacked.with_suffix("").write_bytes(gzip.decompress(unpacked.read_bytes()))
    unpacked.unlink()
    missing.unlink()

    def download(root, download):
        assert download
        shutil.copy(ROOT / "data" / "MNIST" / "raw" / missing.name, root / "MNIST" / "raw")

    monkeypatch.setattr("torchvision.datasets.MNIST", download)
    splits = utils.load_mnist(f"~/{raw.parent.parent.name}")
    pairs = zip([*splits[0], *splits[1]], [*mnist[0], *mnist[1]], strict=True)
    assert all(torch.equal(part, expected.cpu()) for part, expected in pairs)


def test_load_mnist_without_network_says_where_to_put_the_files(tmp_path, monkeypatch):
    def fail(root, download):
        raise RuntimeError("Error downloading train-images-idx3-ubyte.gz")

    monkeypatch.setattr("torchvision.datasets.MNIST", fail)
    with pytest.raises(OSError, match=r"cannot be downloaded: Error downloading .* or put train-images") as error:
        utils.load_mnist(tmp_path)
    assert str(tmp_path / "MNIST" / "raw") in str(error.value)
