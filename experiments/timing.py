"""Shared by everything that is timed: child processes, summaries of their repetitions, and the CSV files.

A machine's speed differs from minute to minute. So variants alternate (A B C A B C …), each repetition in a process of
its own, and ratios are taken within a repetition.
"""

import contextlib
import csv
import datetime
import inspect
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

import utils
from experiments import ROOT
from training.state import TrainState


def defaults(function):
    """Return the default arguments of `function`, a dictionary from name to value."""
    parameters = inspect.signature(function).parameters.items()
    return {name: p.default for name, p in parameters if p.default is not p.empty}


RECIPE = defaults(utils.fit)


def make_state(model, split, steps, **options):
    """Return the `TrainState` of `model` on `split` that follows the recipe for `steps` steps."""
    recipe = {name: RECIPE[name] for name in ("batch_size", "make_optimizers", "lr", "ema_decay")}
    return TrainState(model, split, RECIPE["schedule"](steps), **recipe, **options)


# --- In a timed process ----------------------------------------------------------------------------------------------

# When this process was started, in seconds since 1970, if `run_in_subprocess` started it; else now.
STARTED = float(os.environ.get("PROCESS_STARTED", time.time()))


def seconds_since_start():
    """Return how long ago this process was started: the interpreter's start and all imports count."""
    return time.time() - STARTED


def synchronize():
    """Wait for the accelerator, if there is one."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def median_seconds(function, times):
    """Return the median time of `times` calls of `function`, in seconds, including what they start on a device."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def page_faults():
    """Return how many page faults this process has had that needed no disk. Not on Windows."""
    import resource  # does not exist on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak_mb(device):
    """Return the peak memory of this process in MB: the device's on CUDA, else resident memory. Not on Windows.

    Child processes, such as the workers of a DataLoader, are not counted.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024  # ru_maxrss is in bytes on macOS, in kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


# --- Repetitions -----------------------------------------------------------------------------------------------------


def run_in_subprocess(module, *arguments):
    """Run `python -m module arguments` in a process of its own; return the JSON on the last line it prints.

    If it fails, exit with its error output.
    """
    command = [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
    environment = os.environ | {"PROCESS_STARTED": str(time.time())}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def interleave(variants, repetitions, measure):
    """Measure the variants in alternation; return variant → a list with the figures of each repetition.

    `measure(variant, number)`, with `number` counting from 1, returns a dictionary from metric to value.
    """
    figures = {variant: [] for variant in variants}
    for number in range(1, repetitions + 1):
        for variant in variants:
            figures[variant].append(measure(variant, number))
            print(f"{number}, {variant}: {figures[variant][-1]}", flush=True)
    return figures


def ratios(figures, metric, base):
    """Return variant → the ratio of `metric` to that of the variant `base` in the same repetition, a list."""
    return {
        variant: [own[metric] / other[metric] for own, other in zip(repetitions, figures[base], strict=True)]
        for variant, repetitions in figures.items()
    }


def summary(values):
    """Return the columns median, minimum, maximum, repetitions and values (in order) for a list of numbers."""
    numbers = [f"{value:.5g}" for value in (statistics.median(values), min(values), max(values))]
    columns = dict(zip(("median", "minimum", "maximum"), numbers, strict=True))
    return columns | {"repetitions": len(values), "values": " ".join(f"{value:.5g}" for value in values)}


def summary_rows(columns, figures):
    """Return one row per metric: `columns`, and the metric's `summary` over the repetitions that have it."""
    metrics = dict.fromkeys(metric for repetition in figures for metric in repetition)
    return [
        columns | {"metric": metric} | summary([repetition[metric] for repetition in figures if metric in repetition])
        for metric in metrics
    ]


# --- Files -----------------------------------------------------------------------------------------------------------


def device_name(device):
    """Return the device's type and its name, such as "cpu AMD EPYC"."""
    return f"{device.type} {torch.cuda.get_device_name() if device.type == 'cuda' else processor()}"


def processor():
    """Return the processor's name as the system reports it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def machine_info(device):
    """Return the columns that say when and on what something was measured."""
    today, torch_version = datetime.date.today().isoformat(), torch.__version__
    return {"date": today, "device": device_name(device), "cores": os.cpu_count(), "torch": torch_version}


def read(path):
    """Return the rows of the CSV file `path`, dictionaries of strings."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path, rows):
    """Write `rows`, dictionaries with the same keys, to `path` as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def replace_rows(path, rows):
    """Write `rows`, all of one device, to the CSV file `path` in place of the rows it has of that device."""
    others = [row for row in read(path) if row["device"] != rows[0]["device"]] if path.exists() else []
    write_rows(path, others + rows)
