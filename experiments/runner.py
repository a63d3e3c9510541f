"""Make many trainings side by side, and keep each finished one in a CSV file at once.

A study is a list of runs. A run is named by a dictionary (`{"seed": 3}`) and becomes a row an epoch. Runs that the file
holds are not made again, so a study that was interrupted goes on where it stopped, and what was half-written then is
cut off. The runs go through joblib, whose backends decide where: processes on this machine, or on request a cluster.
"""

import argparse
import contextlib
import csv
import io
import os
import statistics
from pathlib import Path

import torch

import utils
from model import Net

ROOT = Path(__file__).resolve().parent.parent
EPOCHS = 15
TRAINING = ("epoch", "train_loss", "train_accuracy")
CURRENT = ("current_loss", "current_accuracy")  # of the weights being trained, where others read their average
MACHINE = ("seconds", "device", "torch")


# --- One run ---------------------------------------------------------------------------------------------------------


def train(splits, seed, dropout=0.0, **recipe):
    """Train a new network from `seed` with `utils.fit`, silently and on one thread; return its history.

    Two runs side by side, each on one thread, get further in an hour than one run on two threads.
    """
    torch.set_num_threads(1)
    device = utils.pick_device()
    on_device = [utils.Split(split.images.to(device), split.labels.to(device)) for split in splits]
    utils.set_seed(seed)
    with contextlib.redirect_stdout(io.StringIO()):
        return utils.fit(Net(dropout), *on_device, seed=seed, **recipe)


def look_at_current(split):
    """Return what `utils.fit` takes as `extra` to look at `split` with the weights being trained, too, each epoch."""

    def extra(trainer):
        on_device = utils.Split(*(part.to(trainer.rows.device) for part in split))
        return dict(zip(CURRENT, utils.evaluate(trainer.model, on_device), strict=True))

    return extra


def rows_of(history, split):
    """Return `history` as rows of text, accuracies in percent, where `split` names what was looked at each epoch.

    A history made with `look_at_current` gives rows with the columns `CURRENT`.
    """
    machine = {"device": utils.pick_device().type, "torch": torch.__version__}

    def figures(row, own, name):
        loss, accuracy = row[f"{own}_loss"], row[f"{own}_accuracy"]
        return {f"{name}_loss": f"{loss:.5f}", f"{name}_accuracy": f"{100 * accuracy:.2f}"}

    return [
        {
            "epoch": str(row["epoch"]),
            "train_loss": f"{row['train_loss']:.5f}",
            "train_accuracy": f"{100 * row['train_accuracy']:.3f}",
            **figures(row, "test", split),
            **(figures(row, "current", "current") if CURRENT[0] in row else {}),
            "seconds": f"{row['seconds']:.1f}",
        }
        | machine
        for row in history
    ]


# --- The file --------------------------------------------------------------------------------------------------------


def read(path):
    """Return the rows of the CSV file `path`, dictionaries of text."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_seed(rows, weights, metric):
    """Return `metric` of `rows`, those of one way to train, from columns such as "test" or "current": seed → value.

    "accuracy" is the mean over epochs 10 to 15, in percent; "loss" is that after epoch 15.
    """
    first = 10 if metric == "accuracy" else EPOCHS
    found = {}
    for row in rows:
        if int(row["epoch"]) >= first:
            found.setdefault(int(row["seed"]), []).append(float(row[f"{weights}_{metric}"]))
    return {seed: statistics.mean(values) for seed, values in found.items()}


@contextlib.contextmanager
def open_alone(path):
    """Open `path` to read and append, for one process at a time. Raises RuntimeError where another one has it open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", newline="", encoding="utf-8") as file:
        with contextlib.suppress(ImportError):  # Windows has no fcntl, and goes without
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RuntimeError(f"another study is writing to {path}; wait for it, or stop it") from error
        yield file


def save(file, text):
    """Append `text` to the open `file`, and see it on the disk before going on."""
    file.write(text)
    file.flush()
    os.fsync(file.fileno())


def as_lines(fields, rows):
    """Return `rows` as lines of CSV."""
    text = io.StringIO()
    csv.DictWriter(text, fields, lineterminator="\n").writerows(rows)
    return text.getvalue()


def whole_runs(file, fields, names, epochs):
    """Return the runs in the open `file`, as a set of the values of `names`, after cutting off a torn end.

    An empty file gets its header. Raises ValueError where the columns are others, or where something other than the
    last run is not whole: that no interruption can do.
    """
    file.seek(0)
    header, *lines = file.read().splitlines(keepends=True) or [""]
    wanted = ",".join(fields) + "\n"
    if not wanted.startswith(header):
        raise ValueError(f"{file.name} has the columns {header.strip()}, not {wanted.strip()}; move it out of the way")
    if header != wanted:
        file.truncate(0)
        save(file, wanted)
        return set()
    runs = set()
    for start in range(0, len(lines), epochs):
        own = lines[start : start + epochs]
        rows = list(csv.DictReader(own, fieldnames=fields))
        named = {tuple(row[name] for name in names) for row in rows}
        counted = [row.get("epoch", "1") for row in rows] == [str(epoch) for epoch in range(1, epochs + 1)]
        if counted and len(named) == 1 and own[-1].endswith("\n") and None not in rows[-1].values():
            runs |= named
        elif start + epochs >= len(lines):
            file.truncate(len((header + "".join(lines[:start])).encode()))
        else:
            raise ValueError(f"{file.name}, from line {start + 2}: not {epochs} epochs of one run; mend it by hand")
    return runs


# --- The study -------------------------------------------------------------------------------------------------------


def parser(description):
    """Return a parser with the options that every study has."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--jobs", type=int, help="runs at a time (default: one a core)")
    options.add_argument("--backend", default="loky", help="joblib's: loky, ray, or another registered (default: loky)")
    return options


@contextlib.contextmanager
def use_backend(name):
    """Have joblib run on the backend `name` within this context.

    Ray is started here, on this machine; where `ray job submit --working-dir . -- python -m …` runs the study, it is
    that cluster. Raises RuntimeError where Ray is not installed.
    """
    import joblib

    if name != "ray":
        with joblib.parallel_config(backend=name):
            yield
        return
    try:
        import ray
        from ray.util.joblib import register_ray
    except ImportError as error:
        raise RuntimeError("the backend ray needs the package: pip install ray, and try again") from error
    register_ray()
    with ray.init(), joblib.parallel_config(backend=name):
        yield


def named(work, run):
    """Do `work(run)`; return `run` and what came of it, since runs finish in any order."""
    return run, work(run)


def study(path, fields, names, runs, work, jobs=None, backend="loky", epochs=EPOCHS):
    """Do `work(run)` for each of `runs` that `path` does not hold; return the rows of all runs it holds then.

    `names` are the columns that name a run, and `work` returns a run's rows without them: one an epoch, or a single one
    that has no column `epoch`, where `epochs` is 1.
    """
    import joblib

    with open_alone(path) as file, use_backend(backend):
        done = whole_runs(file, fields, names, epochs)
        runs = [run for run in runs if tuple(str(run[name]) for name in names) not in done]
        jobs = min(jobs or os.cpu_count(), max(1, len(runs)))
        print(f"{path.name}: {len(done)} runs are there, {len(runs)} are to be made, {jobs} at a time", flush=True)
        # Where a backend returns all of its results at once, it gets as many runs as it makes side by side, to lose no
        # more than those.
        one_by_one = joblib.parallel.get_active_backend()[0].supports_return_generator
        size = max(1, len(runs)) if one_by_one else joblib.effective_n_jobs(jobs)
        how = "generator_unordered" if one_by_one else "list"
        parallel = joblib.Parallel(n_jobs=jobs, return_as=how)
        for start in range(0, len(runs), size):
            for run, own in parallel(joblib.delayed(named)(work, run) for run in runs[start : start + size]):
                if len(own) < epochs:  # stopped in a notebook, where `utils.fit` returns what there is
                    raise KeyboardInterrupt
                save(file, as_lines(fields, [run | row for row in own]))
                print(", ".join(f"{key} {value}" for key, value in {**run, **own[-1]}.items()), flush=True)
    return read(path)
