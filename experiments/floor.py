"""How fast could a training step be on this processor at best? `make floor`

Counts the floating-point operations of the convolutions in one step, forward and backward, and measures how many a
second the processor does in a large matrix product, its best case. Their quotient is the time that
they would take at that speed. Then it profiles real steps, to tell where the rest goes: the share of the step's
operations, in percent of their time, by kind of layer. Written to experiments/results/roofline.csv.
"""

from pathlib import Path

import torch

import utils
from experiments import timing as bench
from experiments.runner import ROOT
from model import Net

CSV = Path(__file__).resolve().parent / "results" / "roofline.csv"
SIZE = 2048
KINDS = {"convolution": ("convolution",), "batch_norm": ("batch_norm",), "relu": ("clamp_min", "threshold_backward")}


def operations():
    """Return the floating-point operations in the convolutions of one training step, forward and backward.

    A convolution multiplies and adds once for each weight and output position. Its backward pass does so twice more:
    for the gradient of its weights and, in all layers but the first, for that of its input.
    """
    model, counts = Net(), []
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(
                lambda layer, _, output: counts.append(2 * layer.weight.numel() * output[:, 0].numel())
            )
    model(torch.zeros(bench.RECIPE["batch_size"], 1, 28, 28))
    return 3 * sum(counts) - counts[0]


def operations_a_second(size, device):
    """Return the median rate of a float32 product of matrices of `size` × `size` on `device`, with all its cores."""
    a, b = torch.randn(2, size, size, device=device).unbind()
    return 2 * size**3 / bench.median_seconds(lambda: a @ b, times=20)


def shares(steps=20):
    """Return what part of the time of all operations of a training step goes to each kind of layer, in percent."""
    train, _ = utils.load_mnist(ROOT / "data")
    trainer = bench.make_trainer(Net(), train, steps)
    trainer.rows.copy_(torch.arange(len(trainer.rows)))
    trainer.affines.copy_(utils.random_affines(len(train.labels)))
    for _ in range(5):
        trainer.step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler:
        for _ in range(steps):
            trainer.step()
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}

    def share(parts):
        return 100 * sum(t for name, t in times.items() if any(part in name for part in parts)) / sum(times.values())

    return {f"{kind}_percent": share(parts) for kind, parts in KINDS.items()}


def main():
    device = torch.device("cpu")
    count, rate = operations(), operations_a_second(SIZE, device)
    row = bench.about(device=bench.device_name(device)) | {
        "step_mflop": f"{count / 1e6:.0f}",
        "matmul_gflop_per_s": f"{rate / 1e9:.0f}",
        "floor_ms": f"{1000 * count / rate:.1f}",
    }
    row |= {name: f"{share:.0f}" for name, share in shares().items()}
    bench.write_row(CSV, row)
    print("\n".join(f"{name:<20} {value}" for name, value in row.items()))


if __name__ == "__main__":
    main()
