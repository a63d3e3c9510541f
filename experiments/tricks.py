"""What is each of the CPU's speed-ups worth? `make tricks`

Times the training step of `Trainer` with all of them, and with each one taken away, in turns (A B C D A B C D …),
each turn in a process of its own. The median, minimum and maximum over the turns go to experiments/tricks.csv: of a
step in milliseconds, of its ratio to the full step of the same turn, and of the page faults a step.
"""

import argparse
import csv
import datetime
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from experiments.speed import spread
from training.data import shuffled_batches
from training.trainer import Trainer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
CSV = HERE / "tricks.csv"
WARM_UP, STEPS = 10, 100
FULL = "nothing"
WITHOUT = (FULL, "keep_freed_memory", "spread_narrow_batchnorm", "channels_last")


def take_turn(without):
    """Time the step without one speed-up in this process and print the figures as JSON."""
    import resource  # of Unix

    import torch

    import utils
    from model import Net

    if without == "channels_last":
        spread_narrow_batchnorm = lambda model: None  # it has no meaning in the other layout
        torch.channels_last = torch.contiguous_format
    elif without != FULL:
        setattr(utils, without, lambda *_: None)
    train, _ = utils.load_mnist(ROOT / "data")
    utils.set_seed(0)
    trainer = Trainer(Net(), train, utils.one_cycle(1000), 128, utils.muon_and_adamw, lr=0.15, averaging=0.998)
    order = shuffled_batches(len(train.labels), 128)[: WARM_UP + STEPS]
    ends, faults = [], []
    for _ in trainer.epoch(0, order, utils.random_affines(len(train.labels))):
        ends.append(time.perf_counter())
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
    steps = [after - before for before, after in zip(ends[WARM_UP:], ends[WARM_UP + 1 :], strict=False)]
    figures = {"step_ms": 1000 * statistics.median(steps), "page_faults": (faults[-1] - faults[WARM_UP]) / len(steps)}
    print(json.dumps(figures | {"torch": torch.__version__}))


def main():
    parser = argparse.ArgumentParser(description="Time the training step with each speed-up of the CPU taken away.")
    parser.add_argument("--turns", type=int, default=25, help="turns of each (default: 25)")
    parser.add_argument("--turn", choices=WITHOUT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        take_turn(options.turn)
        return
    turns = {without: [] for without in WITHOUT}
    for _ in range(options.turns):
        for without in WITHOUT:
            command = [sys.executable, "-m", "experiments.tricks", "--turn", without]
            environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment)
            turns[without].append(json.loads(done.stdout))
    about = {"date": datetime.date.today().isoformat(), "cores": os.cpu_count(), "torch": turns[FULL][0]["torch"]}
    with CSV.open("w", newline="") as file:
        fields = [*about, "without", "metric", "median", "minimum", "maximum", "turns"]
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        for without, figures in turns.items():
            metrics = {
                "step_ms": [turn["step_ms"] for turn in figures],
                "ratio": [turn["step_ms"] / full["step_ms"] for turn, full in zip(figures, turns[FULL], strict=True)],
                "page_faults": [turn["page_faults"] for turn in figures],
            }
            for metric, values in metrics.items():
                row = about | {"without": without, "metric": metric} | spread(values, digits=4)
                writer.writerow(row)
                print("without {without:<24} {metric:<12} {median:>8} {minimum:>8} {maximum:>8}".format(**row))


if __name__ == "__main__":
    main()
