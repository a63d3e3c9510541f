"""How many minutes to 99.4 %? Ours against the DataLoader baseline, each in its own shortest cycle. `make minutes`

The shortest cycle is the fewest epochs whose mean test accuracy is at 99.40 %. Ours is found by budget.py. The
baseline's is found here: `CYCLES` in ascending order, three seeds each, until one is there (experiments/results/baseline_schedules.csv).
Then both are run from three seeds in turns, with the machine to themselves and each in a process of its own, evaluation
after every epoch included, and timed from the start of the interpreter (experiments/results/time_to_accuracy.csv). Accuracies are in
percent; a row is a run.
"""

import statistics
from pathlib import Path

import torch

import utils
from experiments import runner as study
from experiments import schedule_length as budget
from experiments import timing as bench

CSV = Path(__file__).resolve().parent / "results" / "time_to_accuracy.csv"
NAMES = ("variant", "seed")
FIELDS = (*NAMES, "epochs", "test_loss", "test_accuracy", "seconds", "cores", "device", "torch")
CYCLES_CSV = CSV.with_name("baseline_schedules.csv")
CYCLE_NAMES = ("epochs", "seed")
CYCLE_FIELDS = (*CYCLE_NAMES, "test_loss", "test_accuracy", "device", "torch")

CYCLES = (3, 4, 5, 6, 8, 10, 12, 15, 20, 30)
SEEDS = range(3)
DROPOUT = 0.05  # the reference's
TARGET = 100 * utils.TARGET_ACCURACY


def as_row(figures):
    """Return the figures of a run, accuracy a fraction, as columns of text."""
    return {"test_loss": f"{figures['loss']:.5f}", "test_accuracy": f"{100 * figures['accuracy']:.2f}"}


def train_baseline(run):
    """Train the baseline for one cycle from one seed, on one thread; return its one row.

    In a process of its own, since those of joblib cannot start the workers of a DataLoader.
    """
    figures = bench.run_turn(*baselines_turn(run["epochs"]), "--seed", run["seed"], threads=1)
    return [as_row(figures) | {"device": bench.device_name(utils.pick_device()), "torch": torch.__version__}]


def baselines_turn(epochs):
    """Return module and arguments of a whole run of the baseline, for `bench.run_turn`."""
    return "experiments.baseline", "--epochs", epochs, "--dropout", DROPOUT


def mean_accuracy(rows, **wanted):
    """Return the mean test accuracy, in percent, of those of `rows` that have the values in `wanted`."""
    return statistics.mean(float(row["test_accuracy"]) for row in rows if wanted.items() <= row.items())


def find_baselines_cycle(jobs, backend):
    """Return the fewest epochs of `CYCLES` whose mean is at 99.40 %. Raises RuntimeError where none is."""
    for epochs in CYCLES:
        runs = [{"epochs": epochs, "seed": seed} for seed in SEEDS]
        rows = study.study(CYCLES_CSV, CYCLE_FIELDS, CYCLE_NAMES, runs, train_baseline, jobs, backend, epochs=1)
        if mean_accuracy(rows, epochs=str(epochs)) >= TARGET:
            return epochs
    raise RuntimeError(f"the baseline's mean is below {TARGET} % in every cycle of {CYCLES} epochs")


def find_our_cycle():
    """Return the fewest epochs whose mean is at 99.40 % in the files of budget.py."""
    return budget.fewest(budget.summarise(budget.read()))[0]


def time_run(run, epochs):
    """Make one run of the `epochs` of its variant in a process of its own; return its one row."""
    ours = run["variant"] == "ours"
    turn = ("experiments.ours", "--epochs", epochs["ours"]) if ours else baselines_turn(epochs["baseline"])
    figures = bench.run_turn(*turn, "--seed", run["seed"])
    machine = bench.about(device=bench.device_name(utils.pick_device()))
    row = {"epochs": epochs[run["variant"]], **as_row(figures), "seconds": f"{figures['seconds']:.1f}"}
    return [row | {name: machine[name] for name in ("cores", "device", "torch")}]


def summarise(rows):
    """Return variant → its epochs, mean accuracy in percent, and minutes, a list by seed; from the rows of the file."""
    found = {}
    for variant in ("baseline", "ours"):
        own = sorted((row for row in rows if row["variant"] == variant), key=lambda row: int(row["seed"]))
        minutes = [float(row["seconds"]) / 60 for row in own]
        found[variant] = {"epochs": int(own[0]["epochs"]), "mean": mean_accuracy(own), "minutes": minutes}
    return found


def ratios(found):
    """Return how many times as long the baseline takes, a list by seed, from `summarise`."""
    return [theirs / ours for theirs, ours in zip(*(found[v]["minutes"] for v in ("baseline", "ours")), strict=True)]


def tell(found):
    """Return `summarise` as the table of experiments/README.md."""
    names = {"baseline": "DataLoader baseline, the reference's dropout 0.05", "ours": "this repository"}
    lines = []
    for variant, row in found.items():
        middle, low, high = statistics.median(row["minutes"]), min(row["minutes"]), max(row["minutes"])
        spread = f"{middle:.1f} ({low:.1f} to {high:.1f})"
        lines.append(f"| {names[variant]} | {row['epochs']} | {row['mean']:.2f} % | {spread} |")
    return "\n".join(lines)


def tell_cycles(rows):
    """Return the rows of cycles.csv as the table of experiments/README.md: each cycle of the baseline and its mean."""
    cycles = sorted({int(row["epochs"]) for row in rows})
    means = [mean_accuracy(rows, epochs=str(epochs)) for epochs in cycles]
    return "\n".join(f"| {epochs} | {mean:.2f} % |" for epochs, mean in zip(cycles, means, strict=True))


def main():
    options = study.parser("Time both ways to 99.4 %, each in its shortest cycle.").parse_args()
    epochs = {"ours": find_our_cycle(), "baseline": find_baselines_cycle(options.jobs, options.backend)}
    runs = [{"variant": variant, "seed": seed} for seed in SEEDS for variant in ("baseline", "ours")]
    timed = study.study(CSV, FIELDS, NAMES, runs, lambda run: time_run(run, epochs), jobs=1, epochs=1)
    found = summarise(timed)
    print(tell(found), "ratio {median} × ({minimum} to {maximum})".format(**bench.spread(ratios(found), 3)), sep="\n")


if __name__ == "__main__":
    main()
