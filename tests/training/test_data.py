"""MNIST as it is: counts, classes, checksums, and the two numbers that images are normalised with."""

import hashlib
import math

import pytest
import torch
import torchvision
from helpers import ROOT

import utils
from training.augmentation import MEAN, STD
from training.data import shuffled_batches

pytestmark = pytest.mark.numeric

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


@pytest.mark.parametrize("part", [0, 1])
def test_it_is_what_torchvision_loads(raw, mnist, part):
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


def test_normalised_training_images_have_mean_0_and_std_1(mnist):
    images = utils.normalize(mnist[0].images)
    assert images.dtype == torch.float32
    assert images.mean().item() == pytest.approx(0, abs=1e-3)
    assert images.std().item() == pytest.approx(1, abs=1e-3)


def test_normalize_agrees_with_torchvision(mnist):
    images = mnist[1].images[:10]
    expected = torchvision.transforms.Normalize((MEAN,), (STD,))(images.float() / 255)
    torch.testing.assert_close(utils.normalize(images), expected)


@pytest.mark.parametrize(("n", "batch_size"), [(60_000, 128), (1280, 128), (5, 4), (3, 8), (1, 1)])
def test_an_epoch_shows_every_image_in_full_batches(n, batch_size):
    order = shuffled_batches(n, batch_size, torch.Generator().manual_seed(0))
    assert order.shape == (math.ceil(n / batch_size), batch_size)
    assert order.flatten()[:n].sort().values.tolist() == list(range(n))
    assert torch.equal(order.flatten()[n:], order.flatten().repeat(8)[: order.numel() - n])


def test_order_is_shuffled_and_decided_by_the_seed():
    orders = [shuffled_batches(1280, 128, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])
    assert not torch.equal(orders[0].flatten(), torch.arange(1280))
