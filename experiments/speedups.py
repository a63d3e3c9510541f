"""What is each speed-up worth? `make exp-speedups`

Times the training step of the recipe with all of training/speedups.py that acts on this device, and without each. The
variants alternate, each repetition in a process of its own. Median, minimum, maximum and values go to
results/speedups.csv; rows of other devices stay. Not on Windows, which does not count page faults.
"""

import argparse
import json
import time

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
WARM_UP, STEPS = 20, 200


def time_steps(without):
    """Return the milliseconds and, on a CPU, the page faults per step without one speed-up."""
    device = utils.pick_device()
    train, _ = utils.load_mnist(ROOT / "data", device)
    utils.set_seed(0)
    kept = speedups.ALL - WITHOUT[device.type][without]
    state = timing.make_state(Net(), train, steps=1000, speedups=kept)
    run_step = speedups.make_run_step(utils.train_step, state)
    order = shuffled_batches(len(train.labels), timing.RECIPE["batch_size"])
    affines = utils.random_affines(len(train.labels))

    def take_steps(count):
        utils.train_epoch(state, run_step, order[:count], affines, verbose=False)
        timing.synchronize()

    take_steps(WARM_UP)
    start, faults = time.perf_counter(), timing.page_faults()
    take_steps(STEPS)
    figures = {"step_ms": 1000 * (time.perf_counter() - start) / STEPS}
    return figures | ({"page_faults": (timing.page_faults() - faults) / STEPS} if device.type == "cpu" else {})


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
        rows += timing.summary_rows(machine | {"without": without}, own)
    timing.replace_rows(CSV, rows)
    print(table(machine["device"]))


if __name__ == "__main__":
    main()
