"""What is each of the GPU's speed-ups worth, and how far is its step from the best? `make gpu`, where there is CUDA

Times the recipe's training step with all speed-ups of training/cuda.py, and with each one taken away, in turns within
one process. Then it profiles replayed steps, and measures a large float32 matrix product, the processor's best case:
at its speed the step's convolutions would take `floor_ms`. Median, minimum and maximum over the turns go to
experiments/results/speedups_gpu.csv; what is measured once has one turn.
"""

import math
import sys
import time
from pathlib import Path

import torch

import utils
from experiments import floor
from experiments import speedups as tricks
from experiments import timing as bench
from experiments.runner import ROOT
from experiments.speedups import FULL
from model import Net
from training import cuda
from training.data import shuffled_batches

CSV = Path(__file__).resolve().parent / "results" / "speedups_gpu.csv"
TURNS, WARM_UP, STEPS = 5, 20, 200
PROFILED = 20  # steps
SIZE = 8192

# What is taken away: the patches that do so, as for `bench.patched`.
WITHOUT = {
    FULL: [],
    "RecordedStep": [(cuda, "fast_step", lambda trainer: trainer.step)],
    "multiply_channels": [(cuda, "is_pointwise", lambda layer: False)],
    "normalize_channels_last": [(cuda, "WIDE", math.inf)],
}


def warm_trainer(split):
    """Return a `Trainer` of the recipe on `split`, whose first steps are made and, where it does so, recorded."""
    utils.set_seed(0)
    trainer = bench.make_trainer(Net(), split, steps=1000)
    run_steps(trainer, WARM_UP)
    return trainer


def run_steps(trainer, count):
    """Make `count` steps and wait for them; return the milliseconds that each took."""
    n = len(trainer.split.labels)
    order = shuffled_batches(n, len(trainer.rows))[:count].to(trainer.rows.device)
    affines = utils.random_affines(n).to(trainer.rows.device)
    torch.accelerator.synchronize()
    start = time.perf_counter()
    for _ in trainer.epoch(0, order, affines):
        pass
    torch.accelerator.synchronize()
    return 1000 * (time.perf_counter() - start) / len(order)


def take_turns(split):
    """Return the milliseconds of a step without each speed-up: name → figures of the turns, as `bench.ratios` wants."""
    turns = {without: [] for without in WITHOUT}
    for _ in range(TURNS):
        for without, patches in WITHOUT.items():
            with bench.patched(patches):
                turns[without].append({"step_ms": run_steps(warm_trainer(split), STEPS)})
    return turns


def profile(trainer):
    """Return how many kernels a replayed step of `trainer` launches, and how long they run, in milliseconds."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        for _ in range(PROFILED):
            trainer.run_step()
        torch.accelerator.synchronize()
    kernels = [event for event in profiler.events() if event.device_type == torch.autograd.DeviceType.CUDA]
    return len(kernels) / PROFILED, sum(kernel.time_range.elapsed_us() for kernel in kernels) / 1000 / PROFILED


def measure(split):
    """Return the rows of the CSV."""
    device = split.images.device
    turns = take_turns(split)
    kernels, busy = profile(warm_trainer(split))
    seconds = floor.operations() / floor.operations_a_second(SIZE, device)
    turns[FULL][0] |= {"kernels": kernels, "busy_ms": busy, "floor_ms": 1000 * seconds}
    return tricks.summarise(turns, device)


def main():
    if not torch.cuda.is_available():
        sys.exit("torch finds no CUDA GPU here, and without one there is nothing to measure.")
    tricks.keep(CSV, measure(utils.load_mnist(ROOT / "data", "cuda")[0]))


if __name__ == "__main__":
    main()
