"""MNIST as it is: counts, classes, checksums, and the two numbers that images are normalised with."""

import hashlib

import pytest
import torch
import torchvision
from conftest import ROOT

import utils

CLASSES = {
    "train": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "test": [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
}


@pytest.mark.parametrize(("part", "n"), [("train", 60_000), ("test", 10_000)])
def test_split_shapes_and_classes(mnist, device, part, n):
    split = mnist[part == "test"]
    assert split.images.shape == (n, 1, 28, 28)
    assert split.images.dtype == torch.uint8
    assert split.labels.shape == (n,)
    assert split.labels.dtype == torch.int64
    assert split.images.device.type == split.labels.device.type == device.type
    assert torch.bincount(split.labels).tolist() == CLASSES[part]


@pytest.mark.parametrize(("name", "md5"), torchvision.datasets.MNIST.resources)
def test_committed_archives_are_the_canonical_ones(name, md5):
    assert hashlib.md5((ROOT / "data/MNIST/raw" / name).read_bytes()).hexdigest() == md5


def test_archives_alone_are_enough(tmp_path, mnist):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in (ROOT / "data/MNIST/raw").glob("*.gz"):
        (raw / archive.name).symlink_to(archive)
    train, test = utils.load_mnist(tmp_path)
    assert torch.equal(train.images, mnist[0].images.cpu())
    assert torch.equal(test.labels, mnist[1].labels.cpu())


def test_images_are_in_the_order_of_torchvision(mnist):
    dataset = torchvision.datasets.MNIST(ROOT / "data", train=True)
    to_tensor = torchvision.transforms.PILToTensor()
    for i in (0, 7, 59_999):
        image, label = dataset[i]
        assert torch.equal(to_tensor(image), mnist[0].images[i].cpu())
        assert label == mnist[0].labels[i]


def test_mean_and_std_are_those_of_the_training_images(mnist):
    counts = torch.bincount(mnist[0].images.flatten().long().cpu(), minlength=256).double()
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = (counts * values).sum() / counts.sum()
    std = ((counts * (values - mean) ** 2).sum() / counts.sum()).sqrt()
    assert round(mean.item(), 4) == utils.MEAN
    assert round(std.item(), 4) == utils.STD


def test_normalised_training_images_have_mean_0_and_std_1(mnist):
    images = utils.normalize(mnist[0].images)
    assert images.dtype == torch.float32
    assert images.mean().item() == pytest.approx(0, abs=1e-3)
    assert images.std().item() == pytest.approx(1, abs=1e-3)


def test_normalize_agrees_with_torchvision(mnist):
    images = mnist[1].images[:10]
    expected = torchvision.transforms.Normalize((utils.MEAN,), (utils.STD,))(images.float() / 255)
    torch.testing.assert_close(utils.normalize(images), expected)
