"""What is each speed-up worth, and how far is the step from the best? `make exp-speedups`

Times the training step of the recipe with all of training/speedups.py that acts on this device, and without each. The
variants alternate, each repetition in a process of its own. Then it counts the floating-point operations of a step,
measures a large matrix product, the processor's best case, and profiles some steps. Median, minimum, maximum and
values go to results/speedups.csv; rows of other devices stay. Not on Windows, which does not count page faults.
"""

import argparse
import json
import time

import torch

import utils
from experiments import RESULTS, ROOT, stats, timing
from model import Net
from training import speedups
from training.data import shuffled_batches

CSV = RESULTS / "speedups.csv"
FULL = "nothing"
# By kind of device: what is switched off.
WITHOUT = {
    "cpu": {
        FULL: set(),
        "malloc": {"malloc"},
        "batchnorm_channels_first": {"batchnorm_channels_first"},
        # It converts from channels_last and back, which has no meaning in the other layout.
        "channels_last": {"channels_last", "batchnorm_channels_first"},
    },
    "cuda": {
        FULL: set(),
        "cuda_graph": {"cuda_graph"},
        "conv1x1_as_bmm": {"conv1x1_as_bmm"},
        "batchnorm_channels_last": {"batchnorm_channels_last"},
    },
}
WARM_UP, STEPS, PROFILED = 20, 200, 20
KINDS = {"convolution": ("convolution",), "batch_norm": ("batch_norm",), "relu": ("clamp_min", "threshold_backward")}


def make_state(device, without=FULL):
    """Return a `TrainState` of the recipe without one speed-up, and a function that takes `count` steps."""
    train, _ = utils.load_mnist(ROOT / "data", device)
    utils.set_seed(0)
    kept = speedups.ALL - WITHOUT[device.type][without]
    state = timing.make_state(Net(), train, steps=1000, speedups=kept)
    order = shuffled_batches(len(train.labels), timing.RECIPE["batch_size"])
    affines = utils.random_affines(len(train.labels))

    def take_steps(count):
        utils.train_epoch(state, order[:count], affines, verbose=False)
        timing.synchronize()

    return state, take_steps


def time_steps(without):
    """Return the milliseconds and, on a CPU, the page faults per step without one speed-up."""
    device = utils.pick_device()
    _, take_steps = make_state(device, without)
    take_steps(WARM_UP)
    start, faults = time.perf_counter(), timing.page_faults()
    take_steps(STEPS)
    figures = {"step_ms": 1000 * (time.perf_counter() - start) / STEPS}
    return figures | ({"page_faults": (timing.page_faults() - faults) / STEPS} if device.type == "cpu" else {})


# --- How far from the best? ------------------------------------------------------------------------------------------


def count_operations():
    """Return the floating-point operations of the convolutions in one training step, forward and backward.

    A convolution multiplies and adds once per weight and output position. The backward pass does so twice more: for
    the gradient of its weights and, in all layers but the first, for that of its input.
    """
    model, counts = Net(), []
    for layer in model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(
                lambda layer, _, output: counts.append(2 * layer.weight.numel() * output[:, 0].numel())
            )
    model(torch.zeros(timing.RECIPE["batch_size"], 1, 28, 28))
    return 3 * sum(counts) - counts[0]


def profile(device):
    """Return what some steps of the recipe spend their time on.

    On a CPU, each kind of layer's percentage of the time in operations; on CUDA, the number of kernels per step and the
    milliseconds they run.
    """
    state, take_steps = make_state(device)
    take_steps(WARM_UP)
    on_cuda = device.type == "cuda"
    activity = torch.profiler.ProfilerActivity.CUDA if on_cuda else torch.profiler.ProfilerActivity.CPU
    with torch.profiler.profile(activities=[activity]) as profiler:
        for _ in range(PROFILED):
            state.run_step()
        timing.synchronize()
    if on_cuda:
        kernels = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
        busy = sum(kernel.time_range.elapsed_us() for kernel in kernels) / 1000
        return {"kernels": len(kernels) / PROFILED, "busy_ms": busy / PROFILED}
    times = {event.key: event.self_cpu_time_total for event in profiler.key_averages()}
    return {
        f"{kind}_percent": 100
        * sum(t for key, t in times.items() if any(p in key for p in parts))
        / sum(times.values())
        for kind, parts in KINDS.items()
    }


def roofline(device):
    """Return the operations of a step, the rate of a large matrix product, their quotient, and `profile`."""
    size = 8192 if device.type == "cuda" else 2048
    a, b = torch.randn(2, size, size, device=device).unbind()
    rate, operations = 2 * size**3 / timing.median_seconds(lambda: a @ b, times=20), count_operations()
    return {
        "step_mflop": operations / 1e6,
        "matmul_gflop_per_s": rate / 1e9,
        "floor_ms": 1000 * operations / rate,
        **profile(device),
    }


# --- Results ---------------------------------------------------------------------------------------------------------


def table(device):
    """Return the table of one device in speedups.csv."""
    found = {(row["without"], row["metric"]): row for row in timing.read(CSV) if row["device"] == device}
    faults = (FULL, "page_faults") in found
    lines = [
        "| without | training step | relative to all | range |" + " page faults per step |" * faults,
        "|---|---|---|---|" + "---|" * faults,
    ]
    for without in WITHOUT[device.split()[0]]:
        step, ratio = (found[without, metric] for metric in ("step_ms", "ratio"))
        step_ms, digits = float(step["median"]), 1 if float(step["median"]) >= 10 else 2
        middle, low, high = (stats.fixed(float(ratio[column]), 2) for column in ("median", "minimum", "maximum"))
        name = without if without == FULL else f"`{without}`"
        line = f"| {name} | {stats.fixed(step_ms, digits)} ms | {middle} | {low} to {high} |"
        lines.append(line + (f" {float(found[without, 'page_faults']['median']):,.0f} |" if faults else ""))
    return "\n".join(lines)


def full_step(device):
    """Return metric → median of the full step on one device, as text."""
    wanted = {"device": device, "without": FULL}
    return {row["metric"]: f"{float(row['median']):.3g}" for row in timing.read(CSV) if wanted.items() <= row.items()}


def main():
    parser = argparse.ArgumentParser(description="Time the training step without each speed-up of this device.")
    parser.add_argument("--repetitions", type=int, help="of each (default: 25 on a CPU, 5 on CUDA)")
    parser.add_argument("--without", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.without:
        print(json.dumps(time_steps(options.without)))
        return
    device = utils.pick_device()
    if device.type not in WITHOUT:
        parser.error(f"found the device {device.type}; speed-ups exist for {', '.join(WITHOUT)}")
    figures = timing.interleave(
        WITHOUT[device.type],
        options.repetitions or (25 if device.type == "cpu" else 5),
        lambda without, _: timing.run_in_subprocess("experiments.speedups", "--without", without),
    )
    rows, machine = [], timing.machine_info(device)
    for without, ratios in timing.ratios(figures, "step_ms", FULL).items():
        own = [figures | {"ratio": ratio} for figures, ratio in zip(figures[without], ratios, strict=True)]
        own[0] |= roofline(device) if without == FULL else {}
        rows += timing.summary_rows(machine | {"without": without}, own)
    timing.replace_rows(CSV, rows)
    print(table(machine["device"]))


if __name__ == "__main__":
    main()
