"""The exported model: valid, and the same function as the network on every test image."""

import onnx
import torch

import utils
from model import load_net
from tools.export_onnx import MODEL, compute_logits, export

# Logits reach 30, where float32 has steps of 2e-6, and every layer may add in another order.
TOLERANCE = 1e-4


def require_old_and_valid(path):
    """onnxruntime 1.10 knows opset 15 and IR version 8."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert ([opset.version for opset in model.opset_import], model.ir_version) == ([15], 8)


def test_committed_model_is_valid_and_has_the_logits_of_torch_on_all_test_images(mnist):
    require_old_and_valid(MODEL)
    images = mnist[1].images.cpu()
    logits, exported = utils.compute_logits(load_net(), images), compute_logits(MODEL, images)
    torch.testing.assert_close(exported, logits, atol=TOLERANCE, rtol=0)


def test_export_today_gives_the_committed_model(mnist, tmp_path):
    export(load_net(), tmp_path / "again.onnx")
    require_old_and_valid(tmp_path / "again.onnx")
    for n in (1, 7):
        images = mnist[1].images[:n].cpu()
        again, committed = compute_logits(tmp_path / "again.onnx", images), compute_logits(MODEL, images)
        torch.testing.assert_close(again, committed, atol=TOLERANCE, rtol=0)
