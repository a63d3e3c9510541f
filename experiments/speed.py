"""How fast does it train, compared with a DataLoader baseline? `make exp-speed`

    steps       a training step of ours and of the baseline: 5 minutes on two cores
    runs        whole runs of ours with 15 and 5 epochs, and of the baseline with 6: 30 minutes. These 5 and 6 epochs
                are the shortest schedules that reached 99.4% on average
    speedups    a training step without each of training/speedups.py: 5 minutes

Without `--parts`, it measures steps and runs. A machine's speed differs from minute to minute, and from hour to hour.
So variants alternate (A B C A B C …), each time in a process of its own, and ratios are taken within a repetition.
speed.csv has one row per figure: median, minimum and maximum of `n` repetitions, and all values in their order. Rows of
other parts and devices stay. On a GPU, use `--steps 400`: a step takes a millisecond there.

The baseline is a common way to train on MNIST: PIL transforms one image at a time in worker processes, SGD follows
torch's `OneCycleLR`, and the loss is read back after every step. Network, batch size and augmentation are ours. It has
neither our optimizers nor an EMA, so its steps do not pay for them. It gets the number of workers that suits it best.
"""

import argparse
import functools
import inspect
import json
import os
import subprocess
import sys
import time

import pandas as pd
import torch
import torch.nn.functional as F

import utils
from experiments import results, stats
from model import Net
from training.data import MEAN, STD
from training.speedups import ALL, ON_CPU, ON_CUDA
from training.state import TrainState

NAMES = {
    "baseline": "DataLoader baseline",
    "baseline-dropout": "DataLoader baseline, dropout 0.05",  # the assignment's network had dropout
    "ours": "this repository",
}
DROPOUT = {"baseline": 0.0, "baseline-dropout": 0.05}
REPETITIONS = {"steps": 7, "runs": 3, "speedups": 7}
WORKERS = (0, 2, 4, 8)  # tried for the baseline, as far as there are cores

# When this process was started, in seconds since 1970, if `run_in_process` started it; else now.
STARTED = float(os.environ.get("PROCESS_STARTED", time.time()))


def defaults(function):
    """Return the default arguments of `function`, a dictionary from name to value."""
    parameters = inspect.signature(function).parameters.items()
    return {name: p.default for name, p in parameters if p.default is not p.empty}


BATCH_SIZE, EPOCHS = (defaults(utils.fit)[name] for name in ("batch_size", "epochs"))

# --- In a timed process ----------------------------------------------------------------------------------------------


def train_baseline(n, n_test, epochs, workers, dropout, seed):
    """Train the DataLoader baseline on the first `n` images; return its history: seconds and accuracy, as of `fit`."""
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    device, limits = utils.pick_device(), defaults(utils.random_affines)
    shift, scale = limits["shift"], limits["scale"]
    affine = transforms.RandomAffine(limits["degrees"], (shift, shift), (1 - scale, 1 + scale), limits["shear"])
    plain = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
    train = datasets.MNIST(results.ROOT / "data", download=True, transform=transforms.Compose([affine, *plain]))
    test = datasets.MNIST(results.ROOT / "data", train=False, transform=transforms.Compose(plain))
    options = {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": device.type == "cuda"}
    train_loader = DataLoader(Subset(train, range(n)), BATCH_SIZE, shuffle=True, **options)
    test_loader = DataLoader(Subset(test, range(n_test)), 1000, **options)
    torch.manual_seed(seed)
    model, peak = Net(dropout).to(device), 0.1
    optimizer = torch.optim.SGD(model.parameters(), peak, 0.9, nesterov=True, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, peak, total_steps=epochs * len(train_loader))
    history = []
    for _ in range(epochs):
        start, correct = time.perf_counter(), 0
        model.train()
        for images, labels in train_loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            loss.item()
        model.eval()
        with torch.no_grad():
            for images, labels in test_loader:
                correct += (model(images.to(device)).argmax(dim=1) == labels.to(device)).sum().item()
        history.append({"seconds": time.perf_counter() - start, "test_accuracy": correct / n_test})
    return history


def train_ours(n, n_test, epochs, without, seed):
    """Call `fit` on the first `n` images, without the speed-up `without` if there is one; return its history."""
    utils.TrainState = functools.partial(TrainState, speedups=ALL - {without})  # `fit` has no argument for this
    train, test = utils.load_mnist(results.ROOT / "data", utils.pick_device())
    train, test = utils.Split(*(part[:n] for part in train)), utils.Split(*(part[:n_test] for part in test))
    utils.set_seed(seed)
    return utils.fit(Net(), train, test, epochs=epochs, seed=seed, verbose=False)


def time_training(variant, epochs=2, steps=None, workers=None, seed=0):
    """Return the figures of one training: of a step if `steps` is given, else of the whole run.

    A step is timed in the second of two short epochs of `steps` steps, after which one image is evaluated. The first
    loads libraries, starts the workers and captures the step.
    """
    n, n_test = (steps * BATCH_SIZE, 1) if steps else (60_000, 10_000)
    if variant in DROPOUT:
        history = train_baseline(n, n_test, epochs, workers, DROPOUT[variant], seed)
    else:
        history = train_ours(n, n_test, epochs, variant.removeprefix("without "), seed)
    if steps:
        return {"step_ms": 1000 * history[-1]["seconds"] / steps}
    seconds = {"fit_s": sum(epoch["seconds"] for epoch in history), "process_s": time.time() - STARTED}
    return seconds | {"test_accuracy": 100 * history[-1]["test_accuracy"]}


# --- Repetitions -----------------------------------------------------------------------------------------------------


def run_in_process(job):
    """Return `time_training(**job)`, called in a process of its own. If it fails, exit with its error output."""
    command = [sys.executable, "-m", "experiments.speed", "--job", json.dumps(job)]
    environment = os.environ | {"PROCESS_STARTED": str(time.time())}
    done = subprocess.run(command, cwd=results.ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def measure(part, jobs, repetitions):
    """Run `jobs` in alternation; return their rows of speed.csv, with ratios to the last job of the same repetition.

    The number of the repetition, from 0, is the seed.
    """
    names, compared = ("variant", "workers", "epochs"), "step_ms" if "steps" in jobs[-1] else "process_s"
    measured = []
    for seed in range(repetitions):
        repetition = [run_in_process(job | {"seed": seed}) for job in jobs]
        for job, figures in zip(jobs, repetition, strict=True):
            ratio = figures[compared] / repetition[-1][compared]
            measured.append({name: job.get(name) for name in names} | figures | {"ratio": ratio})
            print(measured[-1], flush=True)
    figures = pd.DataFrame(measured).melt(names, var_name="metric")
    figures = figures.groupby([*names, "metric"], sort=False, dropna=False)["value"].agg(
        n="size", median="median", minimum="min", maximum="max", values=lambda own: " ".join(f"{x:.5g}" for x in own)
    )
    return figures.reset_index().assign(part=part)


def measure_all(parts, repetitions, steps):
    """Yield the rows of speed.csv of the number of workers and of each of `parts`; `repetitions` may be None."""
    tried = [{"variant": "baseline", "workers": n, "steps": steps} for n in WORKERS if n <= os.cpu_count()]
    rows = measure("workers", tried, 2)
    yield rows
    best = rows.query("metric == 'step_ms'").sort_values("median")["workers"].iloc[0].item()
    speedups = sorted(ON_CUDA if utils.pick_device().type == "cuda" else ON_CPU)
    jobs = {
        "steps": [{"variant": name, "workers": best, "steps": steps} for name in DROPOUT],
        "runs": [{"variant": "baseline-dropout", "workers": best, "epochs": 6}, {"variant": "ours", "epochs": EPOCHS}],
        "speedups": [{"variant": f"without {name}", "steps": steps} for name in speedups],
    }
    for part in parts:
        ours = {"variant": "ours"} | ({"epochs": 5} if part == "runs" else {"steps": steps})
        yield measure(part, [*jobs[part], ours], repetitions or REPETITIONS[part])


# --- Results ---------------------------------------------------------------------------------------------------------


def rows_on(device, part):
    """Return the rows of one part of results/speed.csv on one device.

    `device` may be a kind: "cpu" is the processor that was measured last.
    """
    found = results.read("speed")
    found = found[(found["part"] == part) & found["device"].str.startswith(device)]
    last = found.sort_values("date", na_position="first")["device"].iloc[-1]
    return found[found["device"] == last]


def machine_of(rows):
    """Return the machine of rows of speed.csv, such as "AMD EPYC, 2 cores"."""
    return f"{rows['device'].iloc[0].split(' ', 1)[1]}, {rows['cores'].iloc[0]:g} cores"


def spread(row, digits, unit=""):
    """Return the median and range of a row as text, such as "22.2 ms (21.9 to 22.6)", or what it has of them."""
    middle, low, high = (stats.fixed(row[name], digits) for name in ("median", "minimum", "maximum"))
    if middle == low == high or pd.isna(row["median"]):
        return " to ".join(dict.fromkeys((low, high))) + unit
    return f"{middle}{unit} ({low} to {high})"


def steps_table(device, part):
    """Return the table of training steps on one device, of the part "steps" or "speedups"."""
    rows, lines = rows_on(device, part), []
    for variant, figures in rows.groupby("variant", sort=False):
        step, ratio = (figures.set_index("metric").loc[metric] for metric in ("step_ms", "ratio"))
        name = NAMES.get(variant) or f"without `{variant.removeprefix('without ')}`"
        workers = "" if pd.isna(step["workers"]) else f", {step['workers']:g} workers"
        times = spread(step, 1 if step["median"] >= 10 else 2, " ms"), spread(ratio, 2)
        lines.append((name + workers, f"{step['n']:g}", *times))
    return stats.markdown((machine_of(rows), "n", "training step (range)", "relative to ours"), lines)


def runs_table():
    """Return the table of whole runs on all machines."""
    runs, lines = results.read("speed").query("part == 'runs'"), []
    for (_, variant, epochs, n), own in runs.groupby(["device", "variant", "epochs", "n"], dropna=False):
        figures = {row["metric"]: spread(row, 1, " s") for _, row in own.iterrows()}
        seconds = (figures.get(metric, "–") for metric in ("fit_s", "process_s"))
        lines.append((machine_of(own), NAMES[variant], f"{epochs:g}", "–" if pd.isna(n) else f"{n:g}", *seconds))
    return stats.markdown(("machine", "", "epochs", "n", "`fit`", "whole process"), lines)


def run_seconds(device):
    """Return how long `fit` takes for the recipe on one device, as text: in minutes (median), in seconds (range).

    It includes an evaluation after every epoch. "n" is the number of runs, and "machine" where they took place.
    """
    runs = rows_on(device, "runs").query(f"variant == 'ours' and metric == 'fit_s' and epochs == {EPOCHS}")
    ends = f"{runs['minimum'].min():.1f}", f"{runs['maximum'].max():.1f}"
    minutes = f"{runs['median'].max() / 60:.1f}"
    figures = {"minutes": minutes, "fit_15": " to ".join(dict.fromkeys(ends))}
    return figures | {"n": f"{runs['n'].max():g}", "machine": machine_of(runs)}


def to_target_ratio(device):
    """Return how many times as long the baseline takes to 99.4%, seed by seed: median and range as text."""
    ratios = rows_on(device, "runs").query("variant == 'baseline-dropout' and metric == 'ratio'")
    return spread(ratios.iloc[0], 1, " times as long")


def main():
    parser = results.parser("Time our training and the DataLoader baseline, alternating.")
    parser.add_argument("--parts", nargs="+", choices=REPETITIONS, default=["steps", "runs"])
    parser.add_argument("--repetitions", type=int, help=f"of each variant (default: {REPETITIONS})")
    parser.add_argument("--steps", type=int, default=60, help="timed in each process, after as many (default: 60)")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps(time_training(**options.job)))
        return
    machine = results.machine_columns() | {"threads": torch.get_num_threads(), "cores": os.cpu_count()}
    path = results.path_for("speed", options.update)
    for new in measure_all(options.parts, options.repetitions, options.steps):
        new = new.assign(**machine)
        print(new[["part", "variant", "workers", "epochs", "metric", "n", "median", "minimum", "maximum"]].to_string())
        old = pd.read_csv(path) if path.exists() else new[:0]
        old = old[(old["device"] != machine["device"]) | (old["part"] != new["part"].iloc[0])]
        pd.concat([old, new]).to_csv(path, index=False, float_format="%.5g", lineterminator="\n")


if __name__ == "__main__":
    main()
