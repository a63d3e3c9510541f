"""What is each of the CPU's speed-ups worth? `make tricks`

Times the training step of `Trainer` with all of them, and with each one taken away, in turns. The median, minimum and
maximum over the turns go to experiments/results/speedups_cpu.csv: of a step in milliseconds, of its ratio to the full step of the
same turn, and of the page faults a step. Not on Windows, which does not count them alike.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

import utils
from experiments import timing as bench
from experiments.runner import ROOT
from model import Net
from training import cpu
from training.data import shuffled_batches

CSV = Path(__file__).resolve().parent / "results" / "speedups_cpu.csv"
WARM_UP, STEPS = 10, 100
FULL = "nothing"
NO_SPREADING = (cpu, "spread_narrow_batchnorm", lambda model: None)

# What is taken away: the patches that do so, as for `bench.patched`. The `Trainer` is made and used under them.
WITHOUT = {
    FULL: [],
    "keep_freed_memory": [(cpu, "keep_freed_memory", lambda: None)],
    "spread_narrow_batchnorm": [NO_SPREADING],
    # Spreading converts from channels_last and back: it has no meaning in the other layout.
    "channels_last": [(torch, "channels_last", torch.contiguous_format), NO_SPREADING],
}


def take_turn(without):
    """Return the figures of one turn of the step, on the CPU, without one speed-up."""
    train, _ = utils.load_mnist(ROOT / "data")
    utils.set_seed(0)
    ends, faults = [], []
    with bench.patched(WITHOUT[without]):
        trainer = bench.make_trainer(Net(), train, steps=1000)
        order = shuffled_batches(len(train.labels), bench.RECIPE["batch_size"])[: WARM_UP + STEPS]
        for _ in trainer.epoch(0, order, utils.random_affines(len(train.labels))):
            ends.append(time.perf_counter())
            faults.append(bench.page_faults())
    steps = [after - before for before, after in zip(ends[WARM_UP:], ends[WARM_UP + 1 :], strict=False)]
    return {"step_ms": 1000 * statistics.median(steps), "page_faults": (faults[-1] - faults[WARM_UP]) / len(steps)}


def summarise(turns, device):
    """Return the rows of the CSV from the figures of all turns, a dictionary from what is taken away to its turns."""
    machine = bench.about(device=bench.device_name(device))
    rows = []
    for without, ratios in bench.ratios(turns, "step_ms", FULL).items():
        figures = [turn | {"ratio": ratio} for turn, ratio in zip(turns[without], ratios, strict=True)]
        rows += bench.spreads(machine | {"without": without}, figures, digits=4)
    return rows


def keep(path, rows):
    """Write `rows` to `path` as CSV, and print them."""
    bench.write_rows(path, rows)
    for row in rows:
        print("without {without:<24} {metric:<12} {median:>8} {minimum:>8} {maximum:>8}".format(**row))


def main():
    parser = argparse.ArgumentParser(description="Time the training step with each speed-up of the CPU taken away.")
    parser.add_argument("--turns", type=int, default=25, help="turns of each (default: 25)")
    parser.add_argument("--turn", choices=WITHOUT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        print(json.dumps(take_turn(options.turn)))
        return
    turns = bench.take_turns(WITHOUT, options.turns, lambda without, _: ("experiments.speedups", "--turn", without))
    keep(CSV, summarise(turns, torch.device("cpu")))


if __name__ == "__main__":
    main()
