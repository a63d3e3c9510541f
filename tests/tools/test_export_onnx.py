"""The exported model: valid, the same function as the network on every test image, and free of machine details."""

import numpy as np
import pytest
import torch
from helpers import ROOT

import utils
from model import load_net
from tools import export_onnx

onnx = pytest.importorskip("onnx", reason="needs the packages of the group deploy")
pytest.importorskip("onnxruntime", reason="needs the packages of the group deploy")

# Logits reach 30, where float32 has steps of 2e-6, and every layer may add in another order.
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def session():
    return export_onnx.make_session(export_onnx.MODEL)


def test_model_is_valid_and_loads_in_old_runtimes():
    """onnxruntime 1.10 knows opset 15 and IR version 8."""
    model = onnx.load(export_onnx.MODEL)
    onnx.checker.check_model(model, full_check=True)
    assert ([opset.version for opset in model.opset_import], model.ir_version) == ([15], 8)


def test_logits_equal_those_of_torch_on_all_test_images(session, mnist):
    images = mnist[1].images.cpu()
    logits = utils.compute_logits(load_net(), images)
    exported = export_onnx.compute_logits(session, images)
    assert logits.shape == exported.shape == (10_000, 10)
    assert (logits - exported).abs().max() < TOLERANCE
    first, second = logits.topk(2, dim=1).values.unbind(dim=1)
    clear = first - second > 2 * TOLERANCE  # otherwise either digit may come first
    assert clear.float().mean() > 0.99
    assert torch.equal(logits.argmax(dim=1)[clear], exported.argmax(dim=1)[clear])


@pytest.mark.parametrize("n", [1, 2, 7, 128])
def test_any_number_of_images_is_accepted(session, mnist, n):
    assert export_onnx.compute_logits(session, mnist[1].images[:n].cpu()).shape == (n, 10)


def test_other_shapes_are_refused(session):
    (taken,) = session.get_inputs()
    assert taken.shape[1:] == [1, 28, 28]
    with pytest.raises(Exception, match=taken.name):  # the message is onnxruntime's, the name ours
        session.run(None, {"images": np.zeros((1, 1, 32, 32), dtype=np.float32)})


def test_export_today_gives_the_committed_model(session, mnist, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the packages of the group deploy")
    export_onnx.export(load_net(), tmp_path / "again.onnx")
    images = mnist[1].images[:200].cpu()
    again = export_onnx.compute_logits(export_onnx.make_session(tmp_path / "again.onnx"), images)
    torch.testing.assert_close(again, export_onnx.compute_logits(session, images), atol=TOLERANCE, rtol=0)


def test_model_contains_nothing_of_the_machine():
    content = export_onnx.MODEL.read_bytes()
    assert not [text for text in (str(ROOT).encode(), b"site-packages", b".py") if text in content]
