"""What the measurements share: turns of child processes, what is worked out from them, and the files they go to.

A machine's speed differs from minute to minute. So variants are measured in turns (A B C A B C …), each turn in a
process of its own, and compared turn by turn.
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
from unittest import mock

import torch

import utils
from experiments.runner import ROOT
from training.trainer import Trainer

# --- What is measured: the recipe as it stands -----------------------------------------------------------------------


def defaults(function):
    """Return the arguments of `function` that have a default, a dictionary from name to default."""
    parameters = inspect.signature(function).parameters.items()
    return {name: p.default for name, p in parameters if p.default is not p.empty}


RECIPE = defaults(utils.fit)


def make_trainer(model, split, steps):
    """Return a `Trainer` of `model` on `split` that follows the recipe over `steps` steps."""
    pieces = {name: RECIPE[name] for name in ("batch_size", "optimizers", "lr", "averaging")}
    return Trainer(model, split, RECIPE["schedule"](steps), **pieces)


# --- In the process that takes a turn --------------------------------------------------------------------------------

# When the turn's process was started, in seconds since 1970: its parent says so. By hand it counts from here.
STARTED = float(os.environ.get("TURN_STARTED", time.time()))


def since_start():
    """Return how long ago this turn was started, in seconds: the interpreter's start and all imports count."""
    return time.time() - STARTED


def median_seconds(function, times):
    """Return the median time of `times` calls of `function`, in seconds, the device's work included."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def page_faults():
    """Return how many page faults this process had that needed no disk. Not on Windows."""
    import resource  # which Windows has not: no figures there, but this file can be imported

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak_mb(device):
    """Return the most memory this process held, in MB: the device's on CUDA, else its resident memory.

    Child processes, such as the workers of a DataLoader, are not counted. Not on Windows.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024  # getrusage counts bytes on macOS and kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def device_name(device):
    """Return what `device` is, with the name that the system gives it: "cpu AMD EPYC"."""
    return f"{device.type} {torch.cuda.get_device_name() if device.type == 'cuda' else processor()}"


def processor():
    """Return the processor's name as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


@contextlib.contextmanager
def patched(patches):
    """Have other things stand in their places within this context: each of `patches` is an object, a name, a value."""
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(mock.patch.object(*patch))
        yield


# --- All turns -------------------------------------------------------------------------------------------------------


def run_turn(module, *arguments, threads=None):
    """Run `python -m module arguments` as a process of its own; return the JSON on the last line it prints.

    torch has as many `threads` there, or by default as it takes. Ends this program, with what the process had to say,
    where it fails.
    """
    command = [sys.executable, "-m", module, *(str(argument) for argument in arguments)]
    environment = os.environ | {"TURN_STARTED": str(time.time())}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def take_turns(variants, turns, command):
    """Measure each of `variants` in turns; return a dictionary from variant to its figures, one dictionary a turn.

    `command(variant, number)` returns module and arguments for `run_turn`, where `number` counts from 1. The figures
    include `step_ms`, which is printed as it comes.
    """
    figures = {variant: [] for variant in variants}
    for number in range(1, turns + 1):
        for variant in variants:
            figures[variant].append(run_turn(*command(variant, number)))
            print(f"turn {number}, {variant}: {figures[variant][-1]['step_ms']:.1f} ms a step", flush=True)
    return figures


def ratios(figures, metric, base):
    """Return the turns' ratios of `metric` to that of the variant `base` in the same turn: variant → a list."""
    return {
        variant: [own[metric] / other[metric] for own, other in zip(turns, figures[base], strict=True)]
        for variant, turns in figures.items()
    }


def spread(values, digits=5):
    """Return the columns median, minimum, maximum and turns for `values`, rounded to `digits` figures."""
    numbers = (f"{value:.{digits}g}" for value in (statistics.median(values), min(values), max(values)))
    return dict(zip(("median", "minimum", "maximum"), numbers, strict=True)) | {"turns": len(values)}


def spreads(columns, figures, digits=5):
    """Return a row a metric: `columns`, and the metric's spread over those of the turns in `figures` that have it."""
    metrics = dict.fromkeys(metric for turn in figures for metric in turn)
    return [
        columns | {"metric": metric} | spread([turn[metric] for turn in figures if metric in turn], digits)
        for metric in metrics
    ]


# --- The file --------------------------------------------------------------------------------------------------------


def about(**device):
    """Return the columns that say when and with what was measured; `device="…"` adds that one."""
    return {"date": datetime.date.today().isoformat(), **device, "cores": os.cpu_count(), "torch": torch.__version__}


def write_rows(path, rows):
    """Write `rows`, dictionaries with the same columns, to `path` as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_row(path, row):
    """Write `row`, a dictionary, to `path` as CSV: the columns' names and one line."""
    write_rows(path, [row])
