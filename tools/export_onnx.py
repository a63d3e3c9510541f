"""Export mnist_6k.pt as mnist_6k.onnx and compare the two: `make deploy`

The ONNX model takes float32 images [N, 1, 28, 28], normalised by `utils.normalize`, and returns logits [N, 10].
onnxruntime 1.10 or newer can run it. The comparison on all 10,000 test images, and the time for one image, are written
to experiments/results/onnx.csv.
"""

import csv
import os
import platform
import sys
import warnings
from pathlib import Path

import torch
from torch.utils.benchmark import Timer

import utils
from model import load_net

ROOT = Path(__file__).resolve().parent.parent
MODEL, CSV = ROOT / "mnist_6k.onnx", ROOT / "experiments" / "results" / "onnx.csv"


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


def make_session(path):
    """Return an onnxruntime session for the model in the file `path`, on one thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compute_logits(session, images):
    """Return the logits of uint8 `images` [N, 1, 28, 28] by onnxruntime, float32 [N, 10]."""
    return torch.from_numpy(session.run(None, {"images": utils.normalize(images).numpy()})[0])


def compare(net, session, images):
    """Return the row of the result file that compares `net` with `session` on uint8 `images` [N, 1, 28, 28]."""
    logits = utils.compute_logits(net, images)
    exported = compute_logits(session, images)
    image = utils.normalize(images[:1])
    calls = {"onnxruntime_ms": lambda: session.run(None, {"images": image.numpy()}), "torch_ms": lambda: net(image)}
    with torch.inference_mode():
        times = {name: Timer("call()", globals={"call": call}).blocked_autorange() for name, call in calls.items()}
    return {
        "bytes": MODEL.stat().st_size,
        "images": len(images),
        "same_digit": int((logits.argmax(dim=1) == exported.argmax(dim=1)).sum()),
        "largest_difference": f"{(logits - exported).abs().max().item():.1e}",
        **{name: f"{1000 * time.median:.2f}" for name, time in times.items()},
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "onnxruntime": sys.modules["onnxruntime"].__version__,
    }


def main():
    torch.set_num_threads(1)
    net = load_net()
    export(net, MODEL)
    _, test = utils.load_mnist(ROOT / "data")
    row = compare(net, make_session(MODEL), test.images)
    with CSV.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
    print(f"{MODEL.name}: {row}")


if __name__ == "__main__":
    main()
