"""The architecture, layer by layer; weights are saved and loaded whole."""

import errno
import os
from pathlib import Path

import pytest
import torch
import torchsummary
from helpers import ROOT, make_net

from model import Net, load_net, save_weights

# What torchsummary printed of the network that this project reproduces.
TABLE = (ROOT / "tools" / "reference_summary.txt").read_text(encoding="utf-8")

# Receptive field of one value after each stage, by hand: 3×3 layers add 2 pixels each, 4 after the pooling.
FIELDS = {"edges": 5, "parts": 9, "shrink": 10, "shapes": 22, "digits": 28}


@pytest.fixture
def net():
    return make_net().eval()


def test_summary_is_the_reference_table(capsys):
    torchsummary.summary(Net(), (1, 28, 28), device="cpu")
    printed = capsys.readouterr().out
    assert TABLE.count("\n") == 51  # 43 layers, three totals, a heading and four rules
    assert printed[: len(TABLE)] == TABLE


def test_dropout_rate_reaches_every_block():
    assert [layer.p for layer in Net(0.05).modules() if isinstance(layer, torch.nn.Dropout)] == [0.05] * 9
    with pytest.raises(ValueError, match="dropout is 1"):
        Net(1)


@pytest.mark.numeric
@pytest.mark.parametrize("stage", FIELDS)
def test_receptive_field(net, stage):
    """A value in the middle of a stage depends on a square of input pixels, and on nothing outside it."""
    images = torch.randn(256, 1, 28, 28, requires_grad=True)  # many, since ReLU hides some pixels of each
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


@pytest.mark.parametrize("images", [torch.zeros(1, 28, 28), torch.zeros(4, 28, 28, 1), torch.ones(1, 1, 28, 28).byte()])
def test_wrong_images_are_refused_by_name(net, images):
    with pytest.raises(ValueError, match=r"images are .*expects float32 \[N, 1, 28, 28\]") as error:
        net(images)
    assert str(list(images.shape)) in str(error.value)


def test_net_can_be_traced(net):
    """As torchvision's create_feature_extractor does; the tracer's stand-in for images has no shape."""
    torch.fx.symbolic_trace(net)


# --- Weights ---


@pytest.mark.parametrize("wrap", [lambda net: net, torch.compile, torch.nn.DataParallel])
def test_weights_are_saved_and_loaded_again(net, device, tmp_path, monkeypatch, wrap):
    """As contiguous CPU tensors, in a new folder; compiled models have other names."""
    monkeypatch.setenv("USERPROFILE" if os.name == "nt" else "HOME", str(tmp_path))
    save_weights(wrap(make_net().to(device, memory_format=torch.channels_last)), "~/new/weights.pt")
    saved = torch.load(tmp_path / "new" / "weights.pt", weights_only=True)
    assert all(value.device.type == "cpu" and value.is_contiguous() for value in saved.values())
    loaded = load_net("~/new/weights.pt")
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert not loaded.training


def test_save_weights_keeps_the_old_file_if_the_disk_is_full(net, tmp_path, monkeypatch):
    path, write_bytes = tmp_path / "weights.pt", Path.write_bytes

    def write_half(self, content):
        write_bytes(self, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    save_weights(net, path)
    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(OSError, match=r"the weights cannot be saved as .*weights\.pt: No space left"):
        save_weights(make_net(seed=1), path)
    assert torch.equal(next(load_net(path).parameters()), next(net.parameters()))
    assert list(tmp_path.iterdir()) == [path]


def test_load_net_refuses_other_files(tmp_path):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt does not hold weights of Net"):
        load_net(tmp_path / "other.pt")
