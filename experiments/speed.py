"""How fast does it train, compared with a DataLoader baseline? `make exp-speed`

    steps        the training step of ours and of the baseline, with the number of workers that suits the baseline best
    runs         whole runs of ours, from the start of the interpreter, evaluated after every epoch
    to_target    whole runs of both that reach 99.4%, seed by seed: 20 minutes on two cores
    speedups     the step without each of training/speedups.py: 5 minutes

Without `--parts`, it measures steps and runs, in 11 minutes on two cores. A machine's speed differs from minute to
minute. So variants alternate (A B C A B C …), each repetition in a process of its own, and ratios are taken within a
repetition. One row per figure goes to speed.csv: the median, minimum and maximum of `n` repetitions, and all values in
their order. Rows of other parts and devices stay. Not on Windows, which does not count memory and page faults.

The baseline is a common way to train on MNIST: PIL transforms one image at a time in worker processes, SGD follows
torch's `OneCycleLR`, and the loss is read back after every step. Network, batch size and augmentation are ours. It has
neither our optimizers nor an EMA, so its steps do not pay for them.
"""

import argparse
import inspect
import json
import os
import platform
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
from training.data import MEAN, STD, make_batch, shuffled_batches
from training.speedups import ALL, make_run_step
from training.state import TrainState

VARIANTS = {
    "baseline": "DataLoader baseline",
    "baseline-dropout": "DataLoader baseline, dropout 0.05",  # the assignment's network had dropout
    "ours": "this repository",
}
WITHOUT = {  # kind of device → row of the table → the speed-ups that are switched off
    "cpu": {
        "nothing": set(),
        "malloc": {"malloc"},
        "batchnorm_channels_first": {"batchnorm_channels_first"},
        # It converts from channels_last and back, which has no meaning in the other layout.
        "channels_last": {"channels_last", "batchnorm_channels_first"},
    },
    "cuda": {
        "nothing": set(),
        **{name: {name} for name in ("cuda_graph", "conv1x1_as_bmm", "batchnorm_channels_last")},
    },
}
DROPOUT = {"baseline": 0.0, "baseline-dropout": 0.05}
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
    """The training step of this repository, `steps` times, without some of its speed-ups."""

    def __init__(self, steps, without, seed):
        self.device = utils.pick_device()
        train, _ = utils.load_mnist(results.ROOT / "data", self.device)
        self.train = utils.Split(*(part[: steps * BATCH_SIZE] for part in train))
        utils.set_seed(seed)
        names = ("batch_size", "make_optimizers", "lr", "ema_decay")
        options = {name: RECIPE[name] for name in names} | {"speedups": ALL - without}
        self.state = TrainState(Net(), self.train, RECIPE["schedule"](2 * steps), **options)
        self.run_step = make_run_step(utils.train_step, self.state)

    def draw(self):
        n = len(self.train.labels)
        return shuffled_batches(n, BATCH_SIZE), utils.random_affines(n)

    def train_epoch(self):
        """Take all steps once."""
        utils.train_epoch(self.state, self.run_step, *self.draw(), verbose=False)
        synchronize()

    def data_seconds(self):
        """Return the seconds that the data of all steps takes, timed apart from them."""
        start = time.perf_counter()
        order, affines = (part.to(self.device) for part in self.draw())
        for indices in order:
            make_batch(self.train, indices, affines)
        synchronize()
        return time.perf_counter() - start


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
        self.model = Net(dropout).to(self.device)
        peak = 0.1
        self.optimizer = torch.optim.SGD(self.model.parameters(), peak, 0.9, nesterov=True, weight_decay=1e-4)
        steps = epochs * len(self.train_loader)
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, peak, total_steps=steps)

    def train_epoch(self):
        """Train for one epoch."""
        self.model.train()
        self.waited, asked = 0.0, time.perf_counter()
        for images, labels in self.train_loader:
            self.waited += time.perf_counter() - asked
            images, labels = images.to(self.device), labels.to(self.device)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(images), labels)
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            loss.item()
            asked = time.perf_counter()

    def data_seconds(self):
        """Return the seconds that the last epoch waited for data."""
        return self.waited

    @torch.no_grad()
    def accuracy(self):
        """Return the accuracy on the test images, a fraction."""
        self.model.eval()
        correct = 0
        for images, labels in self.test_loader:
            correct += (self.model(images.to(self.device)).argmax(dim=1) == labels.to(self.device)).sum().item()
        return correct / len(self.test_loader.dataset)


def synchronize():
    """Wait for the accelerator, if there is one."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def minor_page_faults():
    """Return how many minor page faults this process has had so far."""
    import resource  # does not exist on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def peak_mb(device):
    """Return the peak memory of this process in MB: the device's on CUDA, else resident memory.

    Child processes, such as the workers of a DataLoader, are not counted.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    import resource

    unit = 1 if platform.system() == "Darwin" else 1024  # ru_maxrss is in bytes on macOS, in kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def time_steps(variant, workers=None, steps=STEPS, seed=0):
    """Return the figures of a step, timed over `steps` steps after as many to warm up."""
    if variant.startswith("baseline"):
        training = Baseline(steps * BATCH_SIZE, workers, DROPOUT[variant], epochs=2, seed=seed)
    else:
        kind = utils.pick_device().type
        switched_off = set() if variant == "ours" else WITHOUT[kind][variant.removeprefix("without ")]
        training = Ours(steps, switched_off, seed)
    startup = time.time() - STARTED
    training.train_epoch()  # loads libraries, starts the workers, captures the step
    faults, start = minor_page_faults(), time.perf_counter()
    training.train_epoch()
    seconds, faults = time.perf_counter() - start, minor_page_faults() - faults
    return {
        "startup_s": startup,
        "step_ms": 1000 * seconds / steps,
        "data_ms": 1000 * training.data_seconds() / steps,
        "page_faults": faults / steps,
        "peak_mb": peak_mb(training.device),
    }


def time_run(variant, epochs, workers=None, seed=0):
    """Return the figures of a whole run, evaluated after every epoch."""
    if variant.startswith("baseline"):
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
    synchronize()
    figures = {"fit_s": time.perf_counter() - start, "process_s": time.time() - STARTED}
    return figures | {"test_accuracy": 100 * accuracy}


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


def interleave(jobs, repetitions, run=run_in_process):
    """Run all `jobs` in alternation; return the figures of each job's repetitions, a list of lists.

    The number of the repetition, from 0, is the seed.
    """
    figures = [[] for _ in jobs]
    for seed in range(repetitions):
        for job, own in zip(jobs, figures, strict=True):
            own.append(run(job | {"seed": seed}))
            print(job | {"seed": seed}, own[-1], flush=True)
    return figures


def rows_of(part, jobs, figures, compared="step_ms", base=-1):
    """Return the rows of speed.csv: one for each figure of each job, and one for the ratio of `compared`.

    A ratio is that to the job `base` in the same repetition.
    """
    rows = []
    for job, repetitions in zip(jobs, figures, strict=True):
        pairs = zip(repetitions, figures[base], strict=True)
        complete = [own | {"ratio": own[compared] / other[compared]} for own, other in pairs]
        for metric in complete[0]:
            values = [own[metric] for own in complete]
            row = {"part": part, **{name: job.get(name) for name in ("variant", "workers", "epochs")}, "metric": metric}
            row |= {"n": len(values)} | {name: f"{function(values):.5g}" for name, function in SUMMARY.items()}
            rows.append(row | {"values": " ".join(f"{value:.5g}" for value in values)})
    return rows


def measure(part, repetitions, steps):
    """Measure one part of the module's docstring; return its rows of speed.csv."""
    if part == "speedups":
        jobs = [{"variant": f"without {name}", "steps": steps} for name in WITHOUT[utils.pick_device().type]]
        return rows_of(part, jobs, interleave(jobs, repetitions), base=0)
    if part == "runs":
        short, long = ([{"variant": "ours", "epochs": epochs}] for epochs in (5, RECIPE["epochs"]))
        return [
            *rows_of(part, short, interleave(short, repetitions), "process_s"),
            *rows_of(part, long, interleave(long, 1), "process_s"),
        ]
    tried = [{"variant": "baseline", "workers": n, "steps": steps} for n in WORKERS if n <= os.cpu_count()]
    tuning = rows_of("workers", tried, interleave(tried, 2), base=0)
    best = min((row for row in tuning if row["metric"] == "step_ms"), key=lambda row: float(row["median"]))["workers"]
    if part == "steps":
        jobs = [{"variant": name, "workers": best, "steps": steps} for name in DROPOUT]
        jobs.append({"variant": "ours", "steps": steps})
        return tuning + rows_of(part, jobs, interleave(jobs, repetitions))
    jobs = [{"variant": "baseline-dropout", "workers": best, "epochs": 6}, {"variant": "ours", "epochs": 5}]
    return tuning + rows_of(part, jobs, interleave(jobs, repetitions), "process_s")


# --- Results ---------------------------------------------------------------------------------------------------------


def rows_on(device, part):
    """Return the rows of one part in results/speed.csv on one device, a DataFrame."""
    found = results.read("speed")
    return found[(found["device"] == device) & (found["part"] == part)]


def by_metric(device, part, column="median"):
    """Return (variant, metric) → value of `column`."""
    return rows_on(device, part).set_index(["variant", "metric"])[column].to_dict()


def table(device):
    """Return the table of steps on one device: medians, and the range of the training step."""
    found, low, high = (by_metric(device, "steps", column) for column in ("median", "minimum", "maximum"))
    lines = [
        "| | training step | of it waiting for data | epoch | evaluation | start-up | peak memory | step ÷ ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for variant, name in VARIANTS.items():
        step, own = (
            (variant, "step_ms"),
            {metric: value for (other, metric), value in found.items() if other == variant},
        )
        ratio = found[step] / found["ours", "step_ms"]
        cells = f"{found[step]:.1f} ms ({low[step]:.1f} to {high[step]:.1f}) | {own['data_ms']:.1f} ms"
        cells += f" | {own['epoch_s']:.1f} s | {own['evaluate_s']:.2f} s | {own['startup_s']:.1f} s"
        lines.append(f"| {name} | {cells} | {own['peak_mb']:,.0f} MB | {ratio:.1f} |")
    return "\n".join(lines)


def figures(device):
    """Return medians of steps on one device as text, such as {"ours_epoch_s": "10.9"}, and 15 epochs in minutes."""
    found = by_metric(device, "steps").items()
    texts = {
        f"{variant}_{metric}": f"{median:.3g}" if median < 1000 else f"{median:,.0f}"
        for (variant, metric), median in found
    }
    runs = rows_on(device, "runs")
    whole = runs[(runs["epochs"] == RECIPE["epochs"]) & (runs["metric"] == "fit_s")]
    return texts | {"ours_minutes": f"{whole['median'].max() / 60:.1f}"}


def run_seconds(device):
    """Return the seconds of whole runs as text, such as {"ours_fit_5": "3.0 to 3.1"}: variant, what, epochs."""
    ends = rows_on(device, "runs").groupby(["variant", "metric", "epochs"]).agg({"minimum": "min", "maximum": "max"})
    names = {"fit_s": "fit", "first_fit_s": "first_fit", "process_s": "program"}
    return {
        f"{variant}_{names[metric]}_{epochs:g}": " to ".join(dict.fromkeys((f"{low:.1f}", f"{high:.1f}")))
        for (variant, metric, epochs), (low, high) in zip(ends.index, ends.to_numpy(), strict=True)
    }


def to_target_table(device):
    """Return the table of minutes to 99.4% on one device: epochs, mean accuracy, median and range."""
    found = rows_on(device, "to_target").set_index(["variant", "metric"])
    lines = ["| | epochs | mean accuracy of three seeds | minutes: median (range) |", "|---|---|---|---|"]
    for variant in ("baseline-dropout", "ours"):
        accuracy, seconds = (found.loc[(variant, metric)] for metric in ("test_accuracy", "process_s"))
        mean = statistics.mean(float(value) for value in accuracy["values"].split())
        middle, low, high = (f"{seconds[name] / 60:.1f}" for name in SUMMARY)
        cells = f"{seconds['epochs']:g} | {stats.fixed(mean, 2)}% | {middle} ({low} to {high})"
        lines.append(f"| {VARIANTS[variant]} | {cells} |")
    return "\n".join(lines)


def to_target_ratio(device):
    """Return how many times as long the baseline takes to 99.4%, seed by seed: median and range as text."""
    found = rows_on(device, "to_target").set_index(["variant", "metric"]).loc[("baseline-dropout", "ratio")]
    return f"{found['median']:.1f} times as long ({found['minimum']:.1f} to {found['maximum']:.1f})"


def speedups_table(device):
    """Return the table of the speed-ups on one device."""
    found = rows_on(device, "speedups").set_index(["variant", "metric"])
    has_faults = ("without nothing", "page_faults") in found.index
    lines = [
        "| without | training step | relative to all | range |" + " page faults per step |" * has_faults,
        "|---|---|---|---|" + "---|" * has_faults,
    ]
    for name in WITHOUT[device.split()[0]]:
        step, ratio = (found.loc[(f"without {name}", metric)] for metric in ("step_ms", "ratio"))
        step_ms = stats.fixed(step["median"], 1 if step["median"] >= 10 else 2)
        middle, low, high = (stats.fixed(ratio[column], 2) for column in SUMMARY)
        label = name if name == "nothing" else f"`{name}`"
        faults = f" {found.loc[(f'without {name}', 'page_faults'), 'median']:,.0f} |" if has_faults else ""
        lines.append(f"| {label} | {step_ms} ms | {middle} | {low} to {high} |{faults}")
    return "\n".join(lines)


def main():
    parser = results.parser("Time our training and the DataLoader baseline, alternating.")
    parts = ("steps", "runs", "to_target", "speedups")
    parser.add_argument("--parts", nargs="+", choices=parts, default=["steps", "runs"], help="(default: steps runs)")
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
        replaced = (old["device"] == machine["device"]) & old["part"].isin(new["part"])
        new = pd.concat([old[~replaced], new])
    new.to_csv(path, index=False, lineterminator="\n")
    print(new.to_string(columns=["part", "variant", "metric", *SUMMARY]))


if __name__ == "__main__":
    main()
