"""How long does it take to reach 99.4%? Ours against the DataLoader baseline. `make exp-time_to_accuracy`

Both train from three seeds, alternating, each run in a process of its own that is timed from the start of the
interpreter, with an evaluation after every epoch. One row per run goes to results/time_to_accuracy.csv, accuracies in
percent; rows of other devices stay. The baseline has the dropout of 0.05 that the assignment's network had.
"""

import argparse
import statistics

import utils
from experiments import RESULTS, speed, stats, timing

CSV = RESULTS / "time_to_accuracy.csv"
GPU_CSV = CSV.with_name("gpu_times.csv")
NAMES = {"baseline": "DataLoader baseline, dropout 0.05", "ours": "this repository"}
OPTIONS = {"baseline": ("--dropout", 0.05), "ours": ()}


def run_rows(figures, epochs, machine):
    """Return one row per run from variant → figures of timed_run.py by seed."""
    return [
        {
            "variant": variant,
            "seed": seed,
            "epochs": epochs[variant],
            "test_loss": f"{own['loss']:.5f}",
            "test_accuracy": f"{100 * own['accuracy']:.2f}",
            "seconds": f"{own['process_s']:.1f}",
            **{name: machine[name] for name in ("cores", "device", "torch")},
        }
        for variant, runs in figures.items()
        for seed, own in enumerate(runs)
    ]


def by_variant(device, column):
    """Return variant → the numbers of `column` on one device, in the order of the seeds."""
    rows = sorted(timing.read(CSV), key=lambda row: int(row["seed"]))
    own = [row for row in rows if row["device"] == device]
    return {name: [float(row[column]) for row in own if row["variant"] == name] for name in NAMES}


def table(device):
    """Return the table of minutes on one device: epochs, mean accuracy, median and range."""
    epochs, accuracies, seconds = (by_variant(device, column) for column in ("epochs", "test_accuracy", "seconds"))
    lines = ["| | epochs | mean accuracy of three seeds | minutes: median (range) |", "|---|---|---|---|"]
    for variant, name in NAMES.items():
        minutes = [s / 60 for s in seconds[variant]]
        spread = f"{statistics.median(minutes):.1f} ({min(minutes):.1f} to {max(minutes):.1f})"
        lines.append(
            f"| {name} | {epochs[variant][0]:g} | {stats.fixed(statistics.mean(accuracies[variant]), 2)}% | {spread} |"
        )
    return "\n".join(lines)


def ratio(device):
    """Return how many times as long the baseline takes, seed by seed: median and range as text."""
    seconds = by_variant(device, "seconds")
    found = [theirs / ours for theirs, ours in zip(seconds["baseline"], seconds["ours"], strict=True)]
    return f"{statistics.median(found):.1f} times as long ({min(found):.1f} to {max(found):.1f})"


def gpu_seconds(device):
    """Return the seconds on an H100 as text, such as {"ours_fit_5": "3.0 to 3.1"}: variant, what was timed, epochs.

    Whole runs of 15 epochs include that of speed.csv on `device`.
    """
    texts = {}
    for row in timing.read(GPU_CSV):
        seconds = [float(row["minimum_s"]), float(row["maximum_s"])]
        if (row["variant"], row["timed"], row["epochs"]) == ("ours", "fit", "15"):
            seconds.append(speed.medians(device)["ours", "run_15_s"])
        ends = dict.fromkeys(f"{end:.1f}" for end in (min(seconds), max(seconds)))
        texts["{variant}_{timed}_{epochs}".format(**row)] = " to ".join(ends)
    return texts


def main():
    parser = argparse.ArgumentParser(description="Time ours and the DataLoader baseline to 99.4%.")
    parser.add_argument("--seeds", type=int, default=3, help="seeds 0 to N-1 (default: 3)")
    for variant in NAMES:
        parser.add_argument(f"--{variant}-epochs", type=int, default=6, help="of its schedule (default: 6)")
    options = parser.parse_args()
    epochs = {variant: getattr(options, f"{variant}_epochs") for variant in NAMES}

    def measure(variant, number):
        arguments = (variant, *OPTIONS[variant], "--epochs", epochs[variant], "--seed", number - 1)
        return timing.run_in_subprocess("experiments.timed_run", *arguments)

    figures, machine = timing.interleave(NAMES, options.seeds, measure), timing.machine_info(utils.pick_device())
    timing.replace_rows(CSV, run_rows(figures, epochs, machine))
    print(table(machine["device"]), ratio(machine["device"]), sep="\n")


if __name__ == "__main__":
    main()
