"""Export mnist_6k.pt as mnist_6k.onnx and compare the two on all test images: `make deploy`

The ONNX model takes float32 images [N, 1, 28, 28], normalised by `utils.normalize`, and returns logits [N, 10].
onnxruntime 1.10 or newer can run it.
"""

import sys
import warnings
from pathlib import Path

import torch

import utils
from model import load_net

ROOT = Path(__file__).resolve().parent.parent
MODEL = ROOT / "mnist_6k.onnx"


def export(net, path):
    """Write `net` to the file `path` as ONNX, for any number of images."""
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about itself
        program = torch.onnx.export(
            net,
            (torch.zeros(2, 1, 28, 28),),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("n")}},
            dynamo=True,
            opset_version=18,
            verbose=False,
        )
    model = program.model_proto
    # Our operators are the same in opsets 15 and 18, and IR version 8 holds them, so that old runtimes load the file.
    model.opset_import[0].version, model.ir_version = 15, 8
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
        del part.metadata_props[:]  # source lines and paths of this machine
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def compute_logits(path, images):
    """Return the logits of uint8 `images` [N, 1, 28, 28] by onnxruntime and the model at `path`, float32 [N, 10]."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": utils.normalize(images).numpy()})[0])


def main():
    net = load_net()
    export(net, MODEL)
    _, test = utils.load_mnist(ROOT / "data")
    logits, exported = utils.compute_logits(net, test.images), compute_logits(MODEL, test.images)
    same = int((logits.argmax(dim=1) == exported.argmax(dim=1)).sum())
    print(f"{MODEL.name}: {MODEL.stat().st_size:,} bytes; {same:,} of {len(logits):,} test images get the same digit,")
    print(f"and the largest difference between two logits is {(logits - exported).abs().max():.1e}.")
    return int(same < len(logits))


if __name__ == "__main__":
    sys.exit(main())
