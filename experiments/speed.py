"""How fast does it train, compared with a DataLoader baseline? `make exp-speed`

    steps        a training step of ours and of the baseline, with the number of workers that suits the baseline best
    runs         whole runs of ours with 5 epochs, and one with 15, evaluated after every epoch
    to_target    whole runs of both that reach 99.4% on average, seed by seed: 25 minutes on two cores
    speedups     a step without each of training/speedups.py: 3 minutes

Without `--parts`, it measures steps and runs, in 11 minutes on two cores. A machine's speed differs from minute to
minute. So variants alternate (A B C A B C …), each repetition in a process of its own, and ratios are taken within a
repetition. One row per figure goes to speed.csv: median, minimum and maximum of `n` repetitions, and all values in
their order. Rows of other parts and devices stay. On a GPU, use `--steps 400`: a step takes a millisecond there.

The baseline is a common way to train on MNIST: PIL transforms one image at a time in worker processes, SGD follows
torch's `OneCycleLR`, and the loss is read back after every step. Network, batch size and augmentation are ours. It has
neither our optimizers nor an EMA, so its steps do not pay for them.
"""

import argparse
import inspect
import json
import os
import statistics
import subprocess
import sys
import time

import pandas as pd
import torch
import torch.nn.functional as F

import utils
from experiments import results, stats
from model import Net
from training.data import MEAN, STD, shuffled_batches
from training.speedups import ALL, make_run_step
from training.state import TrainState

NAMES = {
    "baseline": "DataLoader baseline",
    "baseline-dropout": "DataLoader baseline, dropout 0.05",  # the assignment's network had dropout
    "ours": "this repository",
}
DROPOUT = {"baseline": 0.0, "baseline-dropout": 0.05}
WITHOUT = {  # what is switched off on which kind of device, one at a time
    "cpu": ("nothing", "malloc", "batchnorm_channels_first", "channels_last"),
    "cuda": ("nothing", "cuda_graph", "conv1x1_as_bmm", "batchnorm_channels_last"),
}
PARTS = ("steps", "runs", "to_target", "speedups")
WORKERS = (0, 2, 4, 8)  # tried for the baseline, as far as there are cores
STEPS = 60  # timed in each process, after as many to warm up
SUMMARY = {"median": statistics.median, "minimum": min, "maximum": max}

# When this process was started, in seconds since 1970, if `run_in_process` started it; else now.
STARTED = float(os.environ.get("PROCESS_STARTED", time.time()))


def defaults(function):
    """Return the default arguments of `function`, a dictionary from name to value."""
    parameters = inspect.signature(function).parameters.items()
    return {name: p.default for name, p in parameters if p.default is not p.empty}


RECIPE = defaults(utils.fit)
BATCH_SIZE = RECIPE["batch_size"]

# --- In a timed process ----------------------------------------------------------------------------------------------


class Ours:
    """The training of this repository on as many images as `steps` take, without some of its speed-ups."""

    def __init__(self, steps, without, seed):
        train, _ = utils.load_mnist(results.ROOT / "data", utils.pick_device())
        train = utils.Split(*(part[: steps * BATCH_SIZE] for part in train))
        utils.set_seed(seed)
        recipe = {name: RECIPE[name] for name in ("batch_size", "make_optimizers", "lr", "ema_decay")}
        self.state = TrainState(Net(), train, RECIPE["schedule"](2 * steps), **recipe, speedups=ALL - without)
        self.run_step = make_run_step(utils.train_step, self.state)

    def train_epoch(self):
        """Take all steps once. They prepare their own data, so there is nothing to wait for."""
        n = len(self.state.train.labels)
        order, affines = shuffled_batches(n, BATCH_SIZE), utils.random_affines(n)
        utils.train_epoch(self.state, self.run_step, order, affines, verbose=False)
        return 0.0


class Baseline:
    """The DataLoader baseline on the first `n` training images."""

    def __init__(self, n, workers, dropout, epochs, seed):
        from torch.utils.data import DataLoader, Subset
        from torchvision import datasets, transforms

        self.device = utils.pick_device()
        plain = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
        limits = defaults(utils.random_affines)
        shift, scale = limits["shift"], limits["scale"]
        affine = transforms.RandomAffine(limits["degrees"], (shift, shift), (1 - scale, 1 + scale), limits["shear"])
        train = datasets.MNIST(results.ROOT / "data", download=True, transform=transforms.Compose([affine, *plain]))
        test = datasets.MNIST(results.ROOT / "data", train=False, transform=transforms.Compose(plain))
        options = {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": self.device.type == "cuda"}
        self.train_loader = DataLoader(Subset(train, range(n)), BATCH_SIZE, shuffle=True, **options)
        self.test_loader = DataLoader(test, 1000, **options)
        torch.manual_seed(seed)
        self.model, peak = Net(dropout).to(self.device), 0.1
        self.optimizer = torch.optim.SGD(self.model.parameters(), peak, 0.9, nesterov=True, weight_decay=1e-4)
        steps = epochs * len(self.train_loader)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, peak, total_steps=steps)

    def train_epoch(self):
        """Train for one epoch; return the seconds spent waiting for data."""
        self.model.train()
        waited, asked = 0.0, time.perf_counter()
        for images, labels in self.train_loader:
            waited += time.perf_counter() - asked
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            loss.item()
            asked = time.perf_counter()
        return waited

    @torch.no_grad()
    def accuracy(self):
        """Return the accuracy on the test images, a fraction."""
        self.model.eval()
        correct = 0
        for images, labels in self.test_loader:
            correct += (self.model(images.to(self.device)).argmax(dim=1) == labels.to(self.device)).sum().item()
        return correct / len(self.test_loader.dataset)


def time_steps(variant, workers=None, steps=STEPS, seed=0):
    """Return the figures of a step, timed over `steps` steps after as many to warm up."""
    if variant in DROPOUT:
        training = Baseline(steps * BATCH_SIZE, workers, DROPOUT[variant], epochs=2, seed=seed)
    else:
        without = {variant.removeprefix("without ")} - {"ours", "nothing"}
        if "channels_last" in without:  # it converts from this layout and back, which has no meaning in the other
            without.add("batchnorm_channels_first")
        training = Ours(steps, without, seed)
    training.train_epoch()  # loads libraries, starts the workers, captures the step
    start = time.perf_counter()
    waited = training.train_epoch()
    return {"step_ms": 1000 * (time.perf_counter() - start) / steps, "data_ms": 1000 * waited / steps}


def time_run(variant, epochs, workers=None, seed=0):
    """Return the figures of a whole run, evaluated after every epoch."""
    if variant in DROPOUT:
        training = Baseline(60_000, workers, DROPOUT[variant], epochs, seed)
        start = time.perf_counter()
        for _ in range(epochs):
            training.train_epoch()
            accuracy = training.accuracy()
    else:
        splits = utils.load_mnist(results.ROOT / "data", utils.pick_device())
        start = time.perf_counter()
        utils.set_seed(seed)
        accuracy = utils.fit(Net(), *splits, epochs=epochs, seed=seed, verbose=False)[-1]["test_accuracy"]
    seconds = {"fit_s": time.perf_counter() - start, "process_s": time.time() - STARTED}
    return seconds | {"test_accuracy": 100 * accuracy}


# --- Repetitions -----------------------------------------------------------------------------------------------------


def run_in_process(job):
    """Run `job`, the arguments of `time_run` or `time_steps`, in a process of its own; return its figures.

    If it fails, exit with its error output.
    """
    command = [sys.executable, "-m", "experiments.speed", "--job", json.dumps(job)]
    environment = os.environ | {"PROCESS_STARTED": str(time.time())}
    done = subprocess.run(command, cwd=results.ROOT, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[1:])} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def interleave(jobs, repetitions):
    """Run all `jobs` in alternation; return the figures of each job's repetitions, a list of lists.

    The number of the repetition, from 0, is the seed.
    """
    figures = [[] for _ in jobs]
    for seed in range(repetitions):
        for job, own in zip(jobs, figures, strict=True):
            own.append(run_in_process(job | {"seed": seed}))
            print(job | {"seed": seed}, own[-1], flush=True)
    return figures


def measure_jobs(part, jobs, repetitions, compared="step_ms", base=-1):
    """Run all `jobs`; return their rows of speed.csv: one per figure, and one for the ratio of `compared`.

    A ratio is that to the job `base` in the same repetition.
    """
    rows, figures = [], interleave(jobs, repetitions)
    for job, repeated in zip(jobs, figures, strict=True):
        pairs = zip(repeated, figures[base], strict=True)
        repeated = [own | {"ratio": own[compared] / other[compared]} for own, other in pairs]
        for metric in repeated[0]:
            values = [own[metric] for own in repeated]
            row = {"part": part, **{name: job.get(name) for name in ("variant", "workers", "epochs")}, "metric": metric}
            row |= {"n": len(values)} | {name: float(f"{summary(values):.5g}") for name, summary in SUMMARY.items()}
            rows.append(row | {"values": " ".join(f"{value:.5g}" for value in values)})
    return rows


def measure(part, repetitions, steps):
    """Measure one part of the module's docstring; return its rows of speed.csv."""
    ours = {"variant": "ours"}
    if part == "speedups":
        jobs = [{"variant": f"without {name}", "steps": steps} for name in WITHOUT[utils.pick_device().type]]
        return measure_jobs(part, jobs, repetitions, base=0)
    if part == "runs":
        rows = measure_jobs(part, [ours | {"epochs": 5}], repetitions, "process_s")
        return rows + measure_jobs(part, [ours | {"epochs": RECIPE["epochs"]}], 1, "process_s")
    tried = [{"variant": "baseline", "workers": n, "steps": steps} for n in WORKERS if n <= os.cpu_count()]
    rows = measure_jobs("workers", tried, 2, base=0)
    best = min((row for row in rows if row["metric"] == "step_ms"), key=lambda row: row["median"])["workers"]
    if part == "steps":
        jobs = [{"variant": name, "workers": best, "steps": steps} for name in DROPOUT]
        return rows + measure_jobs(part, [*jobs, ours | {"steps": steps}], repetitions)
    jobs = [{"variant": "baseline-dropout", "workers": best, "epochs": 6}, ours | {"epochs": 5}]
    return rows + measure_jobs(part, jobs, repetitions, "process_s")


# --- Results ---------------------------------------------------------------------------------------------------------


def rows_on(device, part):
    """Return the rows of one part of results/speed.csv on one device, with the index (variant, metric).

    `device` may be a kind: "cpu" is the processor that was measured last.
    """
    found = results.read("speed")
    found = found[(found["part"] == part) & found["device"].str.startswith(device)]
    last = found.sort_values("date", na_position="first")["device"].iloc[-1]
    return found[found["device"] == last].set_index(["variant", "metric"])


def machine_of(row):
    """Return the machine of a row of speed.csv, such as "AMD EPYC, 2 cores"."""
    return f"{row['device'].split(' ', 1)[1]}, {row['cores']:g} cores"


def spread(row, digits, unit=""):
    """Return the median and range of a row as text, such as "22.2 ms (21.9 to 22.6)", or what it has of them."""
    middle, low, high = (stats.fixed(row[name], digits) for name in SUMMARY)
    if middle == low == high or pd.isna(row["median"]):
        return " to ".join(dict.fromkeys((low, high))) + unit
    return f"{middle}{unit} ({low} to {high})"


def steps_table(device):
    """Return the table of the training step on one device, medians over the repetitions."""
    rows, lines = rows_on(device, "steps"), []
    for variant, name in NAMES.items():
        step, data, ratio = (rows.loc[(variant, metric)] for metric in ("step_ms", "data_ms", "ratio"))
        workers = "" if pd.isna(step["workers"]) else f", {step['workers']:g} workers"
        times = spread(step, 1, " ms"), f"{data['median']:.1f} ms", spread(ratio, 1)
        lines.append((name + workers, f"{step['n']:g}", *times))
    machine = machine_of(rows.iloc[0])
    return stats.markdown((machine, "n", "training step (range)", "waiting for data", "relative to ours"), lines)


def runs_table():
    """Return the table of whole runs on all machines."""
    runs, lines = results.read("speed").query("part in ('runs', 'to_target')"), []
    for (_, variant, epochs, _), own in runs.groupby(["device", "variant", "epochs", "n"], dropna=False):
        own = own.set_index("metric")
        n = "–" if own["n"].isna().any() else f"{own['n'].iloc[0]:g}"
        seconds = [spread(own.loc[name], 1, " s") if name in own.index else "–" for name in ("fit_s", "process_s")]
        lines.append((machine_of(own.iloc[0]), NAMES[variant], f"{epochs:g}", n, *seconds))
    return stats.markdown(("machine", "", "epochs", "n", "`fit`", "whole process"), lines)


def run_seconds(device):
    """Return the ranges of whole runs of ours on one device as text: "fit_5", say, of `fit` with 5 epochs, in seconds.

    "minutes" is the `fit` of the recipe, evaluation after every epoch included, and "machine" where it ran.
    """
    runs = rows_on(device, "runs").reset_index()
    texts = {"machine": machine_of(runs.iloc[0])}
    for (metric, epochs), own in runs.groupby(["metric", "epochs"]):
        ends = f"{own['minimum'].min():.1f}", f"{own['maximum'].max():.1f}"
        texts[f"{metric.removesuffix('_s')}_{epochs:g}"] = " to ".join(dict.fromkeys(ends))
    whole = runs.query(f"metric == 'fit_s' and epochs == {RECIPE['epochs']}")
    return texts | {"minutes": f"{whole['median'].max() / 60:.1f}"}


def to_target_ratio(device):
    """Return how many times as long the baseline takes to 99.4%, seed by seed: median and range as text."""
    return spread(rows_on(device, "to_target").loc[("baseline-dropout", "ratio")], 1, " times as long")


def speedups_table(device):
    """Return the table of the speed-ups on one device."""
    rows, lines = rows_on(device, "speedups"), []
    for name in WITHOUT[device.split()[0]]:
        step, ratio = (rows.loc[(f"without {name}", metric)] for metric in ("step_ms", "ratio"))
        step_ms = stats.fixed(step["median"], 1 if step["median"] >= 10 else 2)
        label = name if name == "nothing" else f"`{name}`"
        lines.append((label, f"{step['n']:g}", f"{step_ms} ms", spread(ratio, 2)))
    return stats.markdown(("without", "n", "training step", "relative to all"), lines)


def main():
    parser = results.parser("Time our training and the DataLoader baseline, alternating.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS[:2], help="(default: steps runs)")
    parser.add_argument("--repetitions", type=int, default=7, help="of each variant (default: 7)")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"timed in each process (default: {STEPS})")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        print(json.dumps((time_run if "epochs" in options.job else time_steps)(**options.job)))
        return
    machine = results.machine_columns() | {"cores": os.cpu_count()}
    rows = [row for part in options.parts for row in measure(part, options.repetitions, options.steps)]
    new = pd.DataFrame([machine | row for row in rows])
    path = results.path_for("speed", options.update)
    if path.exists():
        old = results.read_csv(path)
        new = pd.concat([old[(old["device"] != machine["device"]) | ~old["part"].isin(new["part"])], new])
    new.to_csv(path, index=False, lineterminator="\n")
    print(new.to_string(columns=["part", "variant", "metric", *SUMMARY]))


if __name__ == "__main__":
    main()
