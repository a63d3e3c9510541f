"""Export mnist_6k.pt as deploy/mnist_6k.onnx and check it: `make deploy`

The ONNX model takes what `Net` takes, float32 images [N, 1, 28, 28] normalised by `utils.normalize`, and returns logits
[N, 10]. It is compared with torch on all 10,000 test images, and one image is timed in both. What came of it goes to
deploy/onnx.csv.
"""

import statistics
import time
import warnings

import torch

import utils
from experiments import timing as bench
from model import load_net
from reader import ROOT

MODEL, CSV = ROOT / "mnist_6k.onnx", ROOT / "experiments" / "results" / "onnx.csv"


def export(net, path):
    """Write `net` to `path` as ONNX, for any number of images at a time."""
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter, about itself
        program = torch.onnx.export(
            net,
            (torch.zeros(2, 1, 28, 28),),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("n")}},
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto
    graph = model.graph
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
        del part.metadata_props[:]  # where each line of code lies on this machine
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def session_of(path, threads=1):
    """Return an onnxruntime session for the model in `path`."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def compare(net, session, images):
    """Return the logits of uint8 `images` by torch and by onnxruntime, each float32 [N, 10]."""
    ours = torch.from_numpy(session.run(None, {"images": utils.normalize(images).numpy()})[0])
    return utils.compute_logits(net, images), ours


def milliseconds(call, repeats=300):
    """Return the median time of `call()` in milliseconds, after a few calls that do not count."""
    times = []
    for _ in range(repeats + 20):
        start = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[20:])


def main():
    torch.set_num_threads(1)
    net = load_net()
    export(net, MODEL)
    session = session_of(MODEL)
    _, test = utils.load_mnist(ROOT / "data")
    theirs, ours = compare(net, session, test.images)
    image = utils.normalize(test.images[:1])
    with torch.inference_mode():
        found = {
            "bytes": MODEL.stat().st_size,
            "images": len(test.images),
            "same_digit": int((theirs.argmax(dim=1) == ours.argmax(dim=1)).sum()),
            "largest_difference": f"{(theirs - ours).abs().max().item():.1e}",
            "onnxruntime_ms": f"{milliseconds(lambda: session.run(None, {'images': image.numpy()})):.2f}",
            "torch_ms": f"{milliseconds(lambda: net(image)):.2f}",
        }
    bench.write_row(CSV, found)
    print(f"{MODEL.name}: {found}")


if __name__ == "__main__":
    main()
