"""The exported model: valid, the same network, and true on every test image."""

import numpy as np
import onnx
import pytest
import torch
from shared import ROOT

import utils
from deploy import load_net, to_onnx
from experiments import study


@pytest.fixture(scope="module")
def session():
    return to_onnx.session_of(to_onnx.MODEL)


@pytest.fixture(scope="module")
def measured():
    (row,) = study.read(to_onnx.CSV)
    return row


def test_the_checker_passes():
    onnx.checker.check_model(onnx.load(to_onnx.MODEL), full_check=True)


def test_it_agrees_with_torch_on_all_test_images(session, mnist, measured):
    theirs, ours = to_onnx.compare(load_net(), session, mnist[1].images.cpu())
    assert theirs.shape == ours.shape == (10_000, 10)
    assert torch.equal(theirs.argmax(dim=1), ours.argmax(dim=1))
    assert measured["same_digit"] == measured["images"] == "10000"
    assert (theirs - ours).abs().max() < 1e-4
    assert float(measured["largest_difference"]) < 1e-4


@pytest.mark.parametrize("n", [1, 2, 7, 128])
def test_any_number_of_images_is_taken(session, mnist, n):
    images = utils.normalize(mnist[1].images[:n].cpu())
    assert session.run(None, {"images": images.numpy()})[0].shape == (n, 10)


def test_other_shapes_are_refused(session):
    with pytest.raises(Exception, match="invalid dimensions"):
        session.run(None, {"images": np.zeros((1, 1, 32, 32), dtype=np.float32)})


def test_it_holds_the_committed_weights():
    numbers = {
        tuple(onnx.numpy_helper.to_array(tensor).ravel().round(6))
        for tensor in onnx.load(to_onnx.MODEL).graph.initializer
    }
    for name, layer in load_net().named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            assert tuple(layer.weight.detach().numpy().ravel().round(6)) in numbers, name


def test_what_is_exported_today_says_the_same(session, mnist, tmp_path):
    to_onnx.export(load_net(), tmp_path / "again.onnx")
    images = {"images": utils.normalize(mnist[1].images[:200].cpu()).numpy()}
    again = to_onnx.session_of(tmp_path / "again.onnx").run(None, images)[0]
    np.testing.assert_allclose(again, session.run(None, images)[0], atol=1e-4)


def test_it_tells_nothing_of_the_machine():
    content = to_onnx.MODEL.read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content
    assert b".py" not in content


def test_the_size_that_is_stated_is_its_own(measured):
    assert measured["bytes"] == str(to_onnx.MODEL.stat().st_size)
