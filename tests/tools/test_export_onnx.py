"""The ONNX model: one that old runtimes can read, and the same function as the network on every test image."""

import onnx
import torch

import utils
from model import load_net
from tools.export_onnx import MODEL, compute_logits, export


def test_committed_and_new_models_have_the_logits_of_torch(mnist, tmp_path):
    net, images = load_net(), mnist[1].images.cpu()
    logits = utils.compute_logits(net, images)
    export(net, tmp_path / "new.onnx")
    for path in (MODEL, tmp_path / "new.onnx"):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        # onnxruntime 1.10 knows opset 15 and IR version 8.
        assert ([opset.version for opset in model.opset_import], model.ir_version) == ([15], 8)
        for n in (1, len(images)):
            # Logits reach 30, where float32 has steps of 2e-6, and every layer may add in another order.
            torch.testing.assert_close(compute_logits(path, images[:n]), logits[:n], atol=1e-4, rtol=0)
