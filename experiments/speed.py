"""How fast does this network train, against the way in which most people train it? `make bench`

Three variants train the same network on the same images in turns (A B C A B C …), each turn in a process of its own:

    idiom            the DataLoader idiom: PIL transforms an image at a time, two worker processes, the loss read back
                     after every step; SGD and torch's OneCycleLR; no dropout, and the same distortions, as we have
    idiom-reference  the same with the reference's dropout of 0.05
    ours             `utils.fit`

The idiom is spared two things that ours does: it neither averages the weights nor has Muon as its optimizer. A turn is
start-up (imports, data ready), one epoch, evaluation of the 10,000 test images, and single images one by one. Each
figure's median, minimum and maximum over the turns go to experiments/speed.csv, a row a figure, and the chart to
experiments/speed.png; rows of other devices stay. `--steps 20` gives a look in a minute or two: shorter epochs, and
nothing is written.
"""

import argparse
import contextlib
import csv
import datetime
import io
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from training.augmentation import MEAN, STD, make_batch
from training.data import shuffled_batches
from training.trainer import Trainer

START = time.perf_counter()
HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = ROOT / "data"
CSV, CHART = HERE / "speed.csv", HERE / "speed.png"
FIELDS = ("date", "device", "cores", "torch", "variant", "metric", "median", "minimum", "maximum", "turns")
VARIANTS = ("idiom", "idiom-reference", "ours")
DROPOUT = {"idiom": 0.0, "idiom-reference": 0.05}
BATCH_SIZE = 128


# --- One turn, in a process of its own -------------------------------------------------------------------------------


def median_seconds(function, times):
    """Return the median time of `times` calls of `function`, in seconds, the device's work included."""
    import torch

    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        if torch.accelerator.is_available():
            torch.accelerator.synchronize()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def turn_of_idiom(dropout, n):
    """Return the figures of one turn of the DataLoader idiom on the first `n` training images."""
    import torch
    import torch.nn.functional as F
    from torch.utils.data import DataLoader, Subset
    from torchvision import datasets, transforms

    import utils
    from model import Net

    device = utils.pick_device()
    plain = [transforms.ToTensor(), transforms.Normalize((MEAN,), (STD,))]
    augment = transforms.RandomAffine(degrees=10, translate=(0.08, 0.08), scale=(0.9, 1.1), shear=8)
    train_set = datasets.MNIST(DATA, train=True, download=True, transform=transforms.Compose([augment, *plain]))
    test_set = datasets.MNIST(DATA, train=False, transform=transforms.Compose(plain))
    options = {"num_workers": 2, "persistent_workers": True, "pin_memory": device.type == "cuda"}
    train_loader = DataLoader(Subset(train_set, range(n)), batch_size=BATCH_SIZE, shuffle=True, **options)
    test_loader = DataLoader(test_set, batch_size=1000, **options)
    torch.manual_seed(0)
    model = Net(dropout).to(device)
    figures = {"startup_s": time.perf_counter() - START}

    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=15 * len(train_loader))

    def train():
        model.train()
        waited, asked = 0.0, time.perf_counter()
        for images, labels in train_loader:
            waited += time.perf_counter() - asked
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            scheduler.step()
            loss.item()
            asked = time.perf_counter()
        return waited

    def evaluate():
        model.eval()
        total, correct = 0.0, 0
        with torch.no_grad():
            for images, labels in test_loader:
                images, labels = images.to(device), labels.to(device)
                logits = model(images)
                total += F.cross_entropy(logits, labels, reduction="sum").item()
                correct += (logits.argmax(dim=1) == labels).sum().item()
        return total / len(test_set), correct / len(test_set)

    def read_one():
        image, _ = test_set[0]
        with torch.no_grad():
            return model(image[None].to(device)).argmax().item()

    start = time.perf_counter()
    waited = train()
    trained = time.perf_counter() - start
    evaluate()
    epoch = time.perf_counter() - start
    steps = len(train_loader)
    return figures | {
        "data_ms": 1000 * waited / steps,
        "step_ms": 1000 * trained / steps,
        "images_per_s": n / trained,
        "epoch_s": epoch,
        "evaluate_s": median_seconds(evaluate, 3),
        "latency_ms": 1000 * median_seconds(read_one, 100),
    }


def turn_of_ours(n, whole_run):
    """Return the figures of one turn of `utils.fit` on the first `n` training images; `whole_run` adds 15 epochs."""
    import torch

    import utils
    from model import Net

    device = utils.pick_device()
    train, test = utils.load_mnist(DATA, device)
    train = utils.Split(train.images[:n], train.labels[:n])
    utils.set_seed(0)
    model = Net().to(device)
    figures = {"startup_s": time.perf_counter() - START}

    steps = math.ceil(n / BATCH_SIZE)
    recipe = utils.muon_and_adamw, 0.15, 0.998
    trainer = Trainer(model, train, utils.one_cycle(15 * steps), BATCH_SIZE, *recipe)
    generator = torch.Generator().manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        order = shuffled_batches(n, BATCH_SIZE, generator)
        utils.train_epoch(trainer, 0, order, utils.random_affines(n, generator=generator))
        trained = time.perf_counter() - start
        utils.evaluate(model, test)
        epoch = time.perf_counter() - start
        if whole_run:
            figures["fit_15_s"] = median_seconds(lambda: utils.fit(Net(), train, test, epochs=15), 1)
    order = order.to(device)
    affines = utils.random_affines(n).to(device)
    per_epoch = median_seconds(lambda: (shuffled_batches(n, BATCH_SIZE), utils.random_affines(n)), 3)
    batches = iter(order[torch.arange(100) % len(order)])
    per_step = median_seconds(lambda: make_batch(train, next(batches), affines), 100)
    return figures | {
        "data_ms": 1000 * (per_step + per_epoch / steps),
        "step_ms": 1000 * trained / steps,
        "images_per_s": n / trained,
        "epoch_s": epoch,
        "evaluate_s": median_seconds(lambda: utils.evaluate(model, test), 3),
        "latency_ms": 1000 * median_seconds(lambda: utils.compute_logits(model, test.images[:1]).argmax().item(), 100),
    }


def peak_mb(device):
    """Return the most memory this process held: the device's where it is a CUDA device, else its resident memory."""
    import torch

    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    import resource  # which Windows has not: no figures there, but the rest of this file can be imported

    unit = 1 if platform.system() == "Darwin" else 1024  # getrusage counts bytes on macOS and kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def take_turn(variant, n, whole_run):
    """Measure one turn of `variant` in this process and print its figures as one line of JSON."""
    figures = turn_of_ours(n, whole_run) if variant == "ours" else turn_of_idiom(DROPOUT[variant], n)
    import torch

    import utils

    device = utils.pick_device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else processor()
    print(
        json.dumps(
            {"device": f"{device.type} {name}", "torch": torch.__version__, "peak_mb": peak_mb(device)} | figures
        )
    )


def processor():
    """Return the processor's name as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


# --- All turns -------------------------------------------------------------------------------------------------------


def run_turn(variant, steps, whole_run):
    """Run one turn of `variant` as a child process and return its figures."""
    command = [sys.executable, "-m", "experiments.speed", "--turn", variant, "--steps", str(steps)]
    done = subprocess.run(command + ["--whole-run"] * whole_run, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"A turn of {variant} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def spread(values, digits=5):
    """Return the columns median, minimum, maximum and turns for `values`, rounded to `digits` figures."""
    numbers = (f"{value:.{digits}g}" for value in (statistics.median(values), min(values), max(values)))
    return dict(zip(("median", "minimum", "maximum"), numbers, strict=True)) | {"turns": len(values)}


def summarise(turns):
    """Return the rows of the CSV from the figures of all turns, a dictionary from variant to a list of turns."""
    rows = []
    for variant, figures in turns.items():
        about = {
            "date": datetime.date.today().isoformat(),
            "device": figures[0]["device"],
            "cores": os.cpu_count(),
            "torch": figures[0]["torch"],
            "variant": variant,
        }
        metrics = dict.fromkeys(key for turn in figures for key in turn if key not in ("device", "torch"))
        for metric in metrics:
            values = [turn[metric] for turn in figures if metric in turn]
            rows.append(about | {"metric": metric} | spread(values))
    return rows


def ratios(turns, metric):
    """Return how many times slower each variant is than ours: variant → (median, minimum, maximum) over the turns."""
    result = {}
    for variant, figures in turns.items():
        values = [turn[metric] / own[metric] for turn, own in zip(figures, turns["ours"], strict=True)]
        result[variant] = (statistics.median(values), min(values), max(values))
    return result


def print_table(turns, rows):
    print(f"\n{'metric':<14}" + "".join(f"{variant:>18}" for variant in turns))
    for metric in dict.fromkeys(row["metric"] for row in rows):
        values = {row["variant"]: row["median"] for row in rows if row["metric"] == metric}
        print(f"{metric:<14}" + "".join(f"{values.get(variant, ''):>18}" for variant in turns))
    for metric in ("step_ms", "epoch_s"):
        for variant, (middle, low, high) in ratios(turns, metric).items():
            if variant != "ours":
                print(f"{metric} of {variant} against ours, turn by turn: {middle:.2f} × ({low:.2f} to {high:.2f})")


def read_csv():
    """Return the rows of experiments/speed.csv, none where there is no such file yet."""
    if not CSV.exists():
        return []
    with CSV.open(newline="") as file:
        return list(csv.DictReader(file))


def write_csv(rows):
    """Write `rows` to experiments/speed.csv, in place of the rows of the same device only."""
    others = [row for row in read_csv() if row["device"] != rows[0]["device"]]
    with CSV.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(others + rows)


def plot(rows):
    """Return a bar chart of the milliseconds a step, one panel a device, with the spread over the turns."""
    import utils

    devices = list(dict.fromkeys(row["device"] for row in rows))
    figure, panels = utils.canvas(len(devices), 1, height=2.4 * len(devices), squeeze=False)
    labels = {"idiom": "DataLoader idiom,\nno dropout", "idiom-reference": "DataLoader idiom,\ndropout 0.05"}
    for axes, device in zip(panels.flat, devices, strict=True):
        figures = {(row["variant"], row["metric"]): row for row in rows if row["device"] == device}
        for place, variant in enumerate(VARIANTS):
            step, data = figures[variant, "step_ms"], figures[variant, "data_ms"]
            middle, low, high = (float(step[key]) for key in ("median", "minimum", "maximum"))
            waiting = float(data["median"])
            axes.barh(place, waiting, color=utils.ORANGE, label="data" if place == 0 else None)
            axes.barh(place, middle - waiting, left=waiting, color=utils.BLUE, label="compute" if place == 0 else None)
            axes.errorbar(middle, place, xerr=[[middle - low], [high - middle]], color="black", capsize=4)
            axes.annotate(f"{middle:.1f} ms", (high, place), (8, 0), textcoords="offset points", va="center")
        axes.set(xlabel="milliseconds a training step of 128 images", title=f"{device}, {step['cores']} cores")
        axes.set(yticks=range(len(VARIANTS)), yticklabels=[labels.get(variant, variant) for variant in VARIANTS])
        axes.margins(x=0.12)
        axes.invert_yaxis()
        axes.legend(loc="lower right")
    return figure


def main():
    parser = argparse.ArgumentParser(description="Time our training against the DataLoader idiom, in turns.")
    parser.add_argument("--turns", type=int, default=3, help="turns of each variant (default: 3)")
    parser.add_argument("--steps", type=int, default=0, help="steps an epoch, for a quick look (default: all 469)")
    parser.add_argument("--turn", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--whole-run", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.turn:
        take_turn(options.turn, options.steps * BATCH_SIZE or 60_000, options.whole_run)
        return
    turns = {variant: [] for variant in VARIANTS}
    for number in range(options.turns):
        for variant in VARIANTS:
            # A whole run takes long on a CPU, so only the last turn of ours makes one.
            whole_run = not options.steps and variant == "ours" and number == options.turns - 1
            turns[variant].append(run_turn(variant, options.steps, whole_run))
            print(f"turn {number + 1}, {variant}: {turns[variant][-1]['step_ms']:.1f} ms a step", flush=True)
    rows = summarise(turns)
    print_table(turns, rows)
    if not options.steps:
        write_csv(rows)
        plot(read_csv()).savefig(CHART)
        print(f"\nWritten: {CSV.relative_to(ROOT)} and {CHART.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
