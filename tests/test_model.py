"""The architecture is the one that the project promises, layer by layer."""

import itertools

import pytest
import torch
import torchsummary
from helpers import ROOT

from model import Net

# What torchsummary printed of the network that this project reproduces.
TABLE = (ROOT / "tools" / "reference_summary.txt").read_text(encoding="utf-8")

# Receptive field of one value after each stage, by hand: 3×3 layers add 2 pixels each, 4 after the pooling.
FIELDS = {"edges": 5, "parts": 9, "shrink": 10, "shapes": 22}


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Net().eval()


def test_summary_is_the_reference_table(capsys):
    torchsummary.summary(Net(), (1, 28, 28), device="cpu")
    printed = capsys.readouterr().out
    assert TABLE.count("\n") == 51  # 43 layers, three totals, a heading and four rules
    assert printed[: len(TABLE)] == TABLE


def test_dropout_rate_reaches_every_block():
    assert [layer.p for layer in Net(0.05).modules() if isinstance(layer, torch.nn.Dropout)] == [0.05] * 9


def test_blocks_are_convolution_relu_batchnorm_dropout_without_biases(net):
    kinds = [type(layer).__name__ for layer in net.modules() if not list(layer.children())]
    after = {"ReLU": {"Conv2d"}, "BatchNorm2d": {"ReLU"}, "Dropout": {"BatchNorm2d"}}
    for previous, kind in itertools.pairwise(kinds):
        assert previous in after.get(kind, {previous})
    assert all(layer.bias is None for layer in net.modules() if isinstance(layer, torch.nn.Conv2d))


@pytest.mark.parametrize("n", [1, 128])
def test_logits_have_one_row_per_image(net, n):
    logits = net(torch.randn(n, 1, 28, 28))
    assert logits.shape == (n, 10)
    assert logits.dtype == torch.float32


@pytest.mark.numeric
@pytest.mark.parametrize("stage", FIELDS)
def test_receptive_field(net, stage):
    """Values in the middle of a stage depend on a square of input pixels, and on nothing outside it."""
    # Many images, since ReLU hides some pixels of each.
    images = torch.randn(256, 1, 28, 28, requires_grad=True)
    features = images
    for name, layers in net.named_children():
        features = layers(features)
        if name == stage:
            break
    middle = features.shape[-1] // 2
    features[:, :, middle, middle].sum().backward()
    touched = images.grad.abs().sum(dim=(0, 1)) > 0
    rows, columns = touched.any(dim=1).nonzero(), touched.any(dim=0).nonzero()
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == FIELDS[stage]
    assert touched.sum() == FIELDS[stage] ** 2


def test_every_input_pixel_can_change_the_logits(net):
    images = torch.randn(64, 1, 28, 28, requires_grad=True)
    net(images).square().sum().backward()
    assert (images.grad.abs().sum(dim=(0, 1)) > 0).all()


@pytest.mark.parametrize("shape", [(1, 28, 28), (4, 3, 28, 28), (4, 28, 28, 1)], ids=str)
def test_wrong_images_are_refused_by_name(net, shape):
    images = torch.zeros(shape)
    with pytest.raises(ValueError, match=r"images are .*expects float32 \[N, 1, 28, 28\]") as error:
        net(images)
    assert str(list(images.shape)) in str(error.value)


@pytest.mark.parametrize("dropout", [-0.1, float("nan")])
def test_wrong_dropout_is_refused_by_name(dropout):
    with pytest.raises(ValueError, match="dropout is"):
        Net(dropout)
