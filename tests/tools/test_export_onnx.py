"""The exported model: valid, and the same function as the network on every test image."""

import onnx
import torch

import utils
from model import load_net
from tools.export_onnx import MODEL, compute_logits, export

# Logits reach 30, where float32 has steps of 2e-6, and every layer may add in another order.
TOLERANCE = 1e-4


def test_model_is_valid_and_loads_in_old_runtimes():
    """onnxruntime 1.10 knows opset 15 and IR version 8."""
    model = onnx.load(MODEL)
    onnx.checker.check_model(model, full_check=True)
    assert ([opset.version for opset in model.opset_import], model.ir_version) == ([15], 8)


def test_logits_equal_those_of_torch_on_all_test_images(mnist):
    images = mnist[1].images.cpu()
    logits, exported = utils.compute_logits(load_net(), images), compute_logits(MODEL, images)
    torch.testing.assert_close(exported, logits, atol=TOLERANCE, rtol=0)
    first, second = logits.topk(2, dim=1).values.unbind(dim=1)
    clear = first - second > 2 * TOLERANCE  # otherwise either digit may come first
    assert clear.float().mean() > 0.99
    assert torch.equal(logits.argmax(dim=1)[clear], exported.argmax(dim=1)[clear])


def test_export_today_gives_the_committed_model(mnist, tmp_path):
    export(load_net(), tmp_path / "again.onnx")
    for n in (1, 7):
        images = mnist[1].images[:n].cpu()
        again, committed = compute_logits(tmp_path / "again.onnx", images), compute_logits(MODEL, images)
        torch.testing.assert_close(again, committed, atol=TOLERANCE, rtol=0)
