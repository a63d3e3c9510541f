"""The exported model: valid, and the same function as the network on every test image."""

import numpy as np
import pytest
import torch

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


def test_any_number_of_images_is_accepted_and_no_other_shape(session, mnist):
    for n in (1, 7):
        assert export_onnx.compute_logits(session, mnist[1].images[:n].cpu()).shape == (n, 10)
    with pytest.raises(Exception, match="images"):  # the message is onnxruntime's, the name ours
        session.run(None, {"images": np.zeros((1, 1, 32, 32), dtype=np.float32)})


def test_export_today_gives_the_committed_model(session, mnist, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the packages of the group deploy")
    export_onnx.export(load_net(), tmp_path / "again.onnx")
    images = mnist[1].images[:200].cpu()
    again = export_onnx.compute_logits(export_onnx.make_session(tmp_path / "again.onnx"), images)
    torch.testing.assert_close(again, export_onnx.compute_logits(session, images), atol=TOLERANCE, rtol=0)
