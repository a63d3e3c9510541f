"""The exported model: valid, the same network, and true on every test image."""

import numpy as np
import pytest
import torch
from helpers import ROOT

import utils
from experiments import runner as study
from model import load_net
from tools import export_onnx as to_onnx

onnx = pytest.importorskip("onnx", reason="needs the packages of the group deploy")
pytest.importorskip("onnxruntime", reason="needs the packages of the group deploy")

# Logits reach 30, where a float32 has steps of 2e-6, and every layer's sums may be taken in another order.
TOLERANCE = 1e-4


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
    assert (theirs - ours).abs().max() < TOLERANCE
    first, second = theirs.topk(2, dim=1).values.unbind(dim=1)
    clear = first - second > 2 * TOLERANCE  # else either digit may come first
    assert clear.float().mean() > 0.99
    assert torch.equal(theirs.argmax(dim=1)[clear], ours.argmax(dim=1)[clear])
    assert measured["same_digit"] == measured["images"] == "10000"
    assert float(measured["largest_difference"]) < TOLERANCE


@pytest.mark.parametrize("n", [1, 2, 7, 128])
def test_any_number_of_images_is_taken(session, mnist, n):
    images = utils.normalize(mnist[1].images[:n].cpu())
    assert session.run(None, {"images": images.numpy()})[0].shape == (n, 10)


def test_other_shapes_are_refused(session):
    (taken,) = session.get_inputs()
    assert taken.shape[1:] == [1, 28, 28]
    with pytest.raises(Exception, match=taken.name):  # the name is ours; how it is said is onnxruntime's
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
    pytest.importorskip("onnxscript", reason="needs the packages of the group deploy")
    to_onnx.export(load_net(), tmp_path / "again.onnx")
    images = {"images": utils.normalize(mnist[1].images[:200].cpu()).numpy()}
    again = to_onnx.session_of(tmp_path / "again.onnx").run(None, images)[0]
    np.testing.assert_allclose(again, session.run(None, images)[0], atol=TOLERANCE, rtol=0)


def test_it_tells_nothing_of_the_machine():
    content = to_onnx.MODEL.read_bytes()
    assert str(ROOT).encode() not in content
    assert b"site-packages" not in content
    assert b".py" not in content


def test_the_size_that_is_stated_is_its_own(measured):
    assert measured["bytes"] == str(to_onnx.MODEL.stat().st_size)
