"""Train many times, several runs in parallel, and append each run to a CSV file as soon as it is complete.

A run is identified by a dictionary (`{"seed": 3}`) and gives one row per epoch. Runs that the file already holds are
not repeated, so an interrupted study resumes; an incomplete run at the end of the file is removed. joblib's backend
decides where runs take place: in processes of this machine, or on Ray.
"""

import argparse
import contextlib
import csv
import datetime
import io
import os
import platform
import statistics
import subprocess
from pathlib import Path

import numpy
import torch

import utils
from experiments import ROOT
from experiments.timing import device_name, read
from model import Net

EPOCHS = 15
TRAIN_COLUMNS = ("epoch", "train_loss", "train_accuracy")
LIVE_COLUMNS = ("live_loss", "live_accuracy")  # of the live weights; all other columns are of the EMA weights
MACHINE_COLUMNS = ("seconds", "date", "commit", "device", "threads", "python", "torch", "numpy")

# --- One run ---------------------------------------------------------------------------------------------------------


def load_splits():
    """Return MNIST's training and test images, on the CPU."""
    return utils.load_mnist(ROOT / "data")


def train(splits, seed, make_model=Net, **recipe):
    """Train a new model from `seed` with `utils.fit`, silently and on one thread; return its history.

    Two runs in parallel, each on one thread, take less time than one after the other on two.
    """
    torch.set_num_threads(1)
    device = utils.pick_device()
    on_device = [utils.Split(split.images.to(device), split.labels.to(device)) for split in splits]
    utils.set_seed(seed)
    return utils.fit(make_model(), *on_device, seed=seed, verbose=False, **recipe)


def evaluate_live_weights(split):
    """Return an `extra_metrics` for `utils.fit` that evaluates the live weights on `split`, too."""

    def extra_metrics(state):
        on_device = utils.Split(*(part.to(state.train.images.device) for part in split))
        return dict(zip(LIVE_COLUMNS, utils.evaluate(state.live_model, on_device), strict=True))

    return extra_metrics


def machine_columns():
    """Return the columns that say when, with which code and where a run took place."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "device": device_name(utils.pick_device()),
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def history_rows(history, split):
    """Return `history` as rows of strings, accuracies in percent; `split` names what was evaluated: "test", say."""
    machine = machine_columns()

    def figures(row, key, name):
        return {f"{name}_loss": f"{row[f'{key}_loss']:.5f}", f"{name}_accuracy": f"{100 * row[f'{key}_accuracy']:.2f}"}

    return [
        {
            "epoch": str(row["epoch"]),
            "train_loss": f"{row['train_loss']:.5f}",
            "train_accuracy": f"{100 * row['train_accuracy']:.3f}",
            **figures(row, "test", split),
            **(figures(row, "live", "live") if LIVE_COLUMNS[0] in row else {}),
            **({"wrong": row["wrong"]} if "wrong" in row else {}),
            "seconds": f"{row['seconds']:.1f}",
        }
        | machine
        for row in history
    ]


# --- The file --------------------------------------------------------------------------------------------------------


def by_seed(rows, weights, metric, **wanted):
    """Return `metric` of the `rows` with the values in `wanted`, from columns such as "test" or "live": seed → value.

    "accuracy" is the mean over epochs 10 to 15, in percent; "loss" is the loss after epoch 15.
    """
    first = 10 if metric == "accuracy" else EPOCHS
    found = {}
    for row in rows:
        if int(row["epoch"]) >= first and wanted.items() <= row.items():
            found.setdefault(int(row["seed"]), []).append(float(row[f"{weights}_{metric}"]))
    return {seed: statistics.mean(values) for seed, values in found.items()}


@contextlib.contextmanager
def open_locked(path):
    """Open `path` for reading and appending. Raises RuntimeError if another process has it open in the same way."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", newline="", encoding="utf-8") as file:
        with contextlib.suppress(ImportError):  # Windows has no fcntl: there, nothing is locked
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RuntimeError(f"another study is writing to {path}; wait for it or stop it") from error
        yield file


def append(file, text):
    """Append `text` to the open `file`, down to the disk."""
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def as_csv(columns, rows):
    """Return `rows` as lines of CSV, without a header."""
    text = io.StringIO()
    csv.DictWriter(text, columns, lineterminator="\n").writerows(rows)
    return text.getvalue()


def complete_runs(text, columns, key_columns, epochs):
    """Return the complete runs in `text`, a set of tuples of their keys, and `text` without an incomplete last run.

    Raises ValueError if the columns are others, or if anything but the last run is incomplete: no interruption does
    that.
    """
    header = ",".join(columns) + "\n"
    found, *lines = text.splitlines(keepends=True) or [""]
    if not header.startswith(found):
        raise ValueError(f"found the columns {found.strip()}, expected {header.strip()}; move the file away")
    runs = set()
    for start in range(0, len(lines), epochs):
        block = lines[start : start + epochs]
        rows = list(csv.DictReader(block, fieldnames=columns))
        keys = {tuple(row[name] for name in key_columns) for row in rows}
        counted = [row.get("epoch", "1") for row in rows] == [str(epoch) for epoch in range(1, epochs + 1)]
        if counted and len(keys) == 1 and block[-1].endswith("\n") and None not in rows[-1].values():
            runs |= keys
        elif start + epochs >= len(lines):
            return runs, header + "".join(lines[:start])
        else:
            raise ValueError(f"line {start + 2}: expected {epochs} epochs of one run; repair the file by hand")
    return runs, header + "".join(lines)


# --- The study -------------------------------------------------------------------------------------------------------


def parser(description):
    """Return a parser with the options that every study has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--jobs", type=int, help="runs in parallel (default: one per core)")
    options.add_argument("--csv", type=Path, help="the result file; it is resumed (default: the committed one)")
    options.add_argument("--backend", default="loky", help="joblib's: loky, ray, or another registered (default: loky)")
    return options


@contextlib.contextmanager
def use_backend(name):
    """Let joblib use the backend `name` within this context. Raises RuntimeError if Ray is wanted but not installed."""
    import joblib

    with contextlib.ExitStack() as stack:
        if name == "ray":
            try:
                import ray
                from ray.util.joblib import register_ray
            except ImportError as error:
                raise RuntimeError("the backend ray needs a package: pip install ray") from error
            register_ray()
            stack.enter_context(ray.init())
        stack.enter_context(joblib.parallel_config(backend=name))
        yield


def with_key(train_one, run):
    """Return `run` and the rows of `train_one(run)`: runs finish in any order."""
    return run, train_one(run)


def run_all(path, columns, key_columns, runs, train_one, jobs=None, backend="loky", epochs=EPOCHS):
    """Call `train_one(run)` for each of `runs` that `path` does not hold; return all rows that it holds then.

    `train_one` returns the rows of a run without `key_columns`: one per epoch, or a single one without a column
    `epoch` if `epochs` is 1.
    """
    import joblib

    with open_locked(path) as file, use_backend(backend):
        file.seek(0)
        text = file.read()
        try:
            done, kept = complete_runs(text, columns, key_columns, epochs)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        if text.startswith(kept):
            file.truncate(len(kept.encode()))
        else:  # not even a header
            file.truncate(0)
            append(file, kept)
        runs = [run for run in runs if tuple(str(run[name]) for name in key_columns) not in done]
        jobs = min(jobs or os.cpu_count(), max(1, len(runs)))
        print(f"{path.name}: {len(done)} runs done, {len(runs)} to do, {jobs} in parallel", flush=True)
        # A backend that returns all results at once gets as many runs as it makes in parallel, to lose no more.
        one_by_one = joblib.parallel.get_active_backend()[0].supports_return_generator
        size = max(1, len(runs)) if one_by_one else joblib.effective_n_jobs(jobs)
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered" if one_by_one else "list")
        for start in range(0, len(runs), size):
            for run, rows in parallel(joblib.delayed(with_key)(train_one, run) for run in runs[start : start + size]):
                if len(rows) < epochs:  # interrupted in a notebook, where `utils.fit` returns what it has
                    raise KeyboardInterrupt
                append(file, as_csv(columns, [run | row for row in rows]))
                print(", ".join(f"{key} {value}" for key, value in {**run, **rows[-1]}.items()), flush=True)
    return read(path)
