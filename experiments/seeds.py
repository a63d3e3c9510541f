"""Is 99.4% luck? Train the recipe once from every seed and report every run. `make exp-seeds`

A run is `utils.fit` with its defaults: all 60,000 training images, 15 epochs, the full test set after every epoch with
the EMA weights. No run or epoch is selected. results/seeds.csv has one row per epoch, accuracies in percent; runs on
another kind of device go to a file of their own, such as seeds_cuda.csv. results/seeds.png shows all runs.
"""

import functools
import itertools
import math
import statistics

import plots
import utils
from experiments import RESULTS, runner, stats

CSV = RESULTS / "seeds.csv"
KEY_COLUMNS = ("seed",)
COLUMNS = (*KEY_COLUMNS, *runner.TRAIN_COLUMNS, "test_loss", "test_accuracy", "wrong", *runner.MACHINE_COLUMNS)

# The committed runs: machine → its name, its file, and a word that `device` has there. PyTorch 2.14.1 on the CPUs,
# 2.11.0 on the GPU.
MACHINES = {
    "epyc": ("2 cores of an AMD EPYC", CSV, "EPYC"),
    "xeon": ("2 cores of an Intel Xeon", CSV.with_name("seeds_xeon.csv"), "Xeon"),
    "h100": ("NVIDIA H100", CSV.with_name("seeds_cuda.csv"), "H100"),
}
TARGET = 100 * utils.TARGET_ACCURACY


def csv_of(device):
    """Return the file for runs on `device`: CPU and GPU are not mixed."""
    return CSV if device.type == "cpu" else CSV.with_name(f"{CSV.stem}_{device.type}.csv")


def train_one(run, folder, epochs=runner.EPOCHS):
    """Train from one seed; return its rows, and save the weights as `folder`/SEED.pt."""
    train, test = runner.load_splits()

    def wrong(state):
        """Return the indices of the misclassified test images, as text, and save the weights."""
        model = state.ema_model
        utils.save_weights(model, folder / f"{run['seed']}.pt")
        predicted = utils.compute_logits(model, test.images.to(state.train.images.device)).argmax(dim=1).cpu()
        return {"wrong": " ".join(str(i) for i in (predicted != test.labels).nonzero()[:, 0].tolist())}

    return runner.history_rows(runner.train((train, test), run["seed"], epochs=epochs, extra_metrics=wrong), "test")


# --- Results ---------------------------------------------------------------------------------------------------------


def accuracies(rows):
    """Return seed → its test accuracies in percent, one per epoch."""
    runs = {}
    for row in rows:
        runs.setdefault(int(row["seed"]), []).append(float(row["test_accuracy"]))
    return dict(sorted(runs.items()))


def machine_rows(machine, path=None):
    """Return the rows of one of `MACHINES` in its file, or in the file `path`.

    Rows in which `device` names another machine are left out. The oldest rows say only "cpu" or "cuda".
    """
    _, own_file, word = MACHINES[machine]
    return [row for row in runner.read(path or own_file) if row["device"] in ("cpu", "cuda") or word in row["device"]]


def machine_runs(machine, path=None):
    """Return `accuracies` of `machine_rows`."""
    return accuracies(machine_rows(machine, path))


def percentages(low, high):
    """Return the ends of an interval of a probability as text: "91.2% to 98.5%"."""
    return f"{stats.fixed(100 * low, 1)}% to {stats.fixed(100 * high, 1)}%"


def summarise(runs):
    """Return the figures of `accuracies`, two runs or more, as strings: name → text. Intervals are 95% intervals.

    "Above" means strictly above 99.40%. `interval` is that of the mean, `above_interval` that of the probability to be
    above (Clopper and Pearson). `told_apart` is the difference that two single runs must exceed.
    """
    n, values = len(runs), list(runs.values())
    figures = {"seeds": f"{n}"}
    for epoch in (10, 15):
        reached = [run[epoch - 1] for run in values]
        mean, deviation, above = stats.t_interval(reached), statistics.stdev(reached), sum(a > TARGET for a in reached)
        figures |= {
            f"mean_{epoch}": f"{stats.fixed(mean.mean, 3)}%",
            f"interval_{epoch}": f"{stats.fixed(mean.low, 3)} to {stats.fixed(mean.high, 3)}",
            f"deviation_{epoch}": f"{deviation:.3f}",
            f"told_apart_{epoch}": f"{1.96 * math.sqrt(2) * deviation:.2f}",
            f"worst_{epoch}": f"{min(reached):.2f}%",
            f"best_{epoch}": f"{max(reached):.2f}%",
            f"above_{epoch}": f"{above} of {n}",
            f"above_interval_{epoch}": percentages(*stats.count_interval(above, n)),
        }
    firsts = [next((epoch for epoch, a in enumerate(run, 1) if a > TARGET), math.inf) for run in values]
    latest, within = f"{max(firsts):g}".replace("inf", "never"), sum(first <= 10 for first in firsts)
    return figures | {
        "always_above": f"{sum(min(run[9:15]) > TARGET for run in values)} of {n}",
        "always_at": f"{sum(min(run[9:15]) >= TARGET for run in values)} of {n}",
        "within_10": f"{within} of {n}",
        "within_10_interval": percentages(*stats.count_interval(within, n)),
        "first_median": f"{statistics.median(firsts):g}",
        "first_latest": latest,
    }


@functools.cache
def machine_summary(machine):
    """Return `summarise` for one of `MACHINES`."""
    return summarise(machine_runs(machine))


def headline():
    """Return how often a run is above 99.40%, in two sentences."""
    cpu, gpu = machine_summary("epyc"), machine_summary("h100")
    return (
        f"After epoch 10, test accuracy is strictly above 99.40% in {cpu['above_10']} runs on an AMD EPYC and in "
        f"{gpu['above_10']} on an NVIDIA H100. The 95% intervals for these probabilities are "
        f"{cpu['above_interval_10']} and {gpu['above_interval_10']} (Clopper–Pearson). It is above 99.40% after at "
        f"least one of the first 10 epochs in {cpu['within_10']} and {gpu['within_10']} runs "
        f"({cpu['within_10_interval']} and {gpu['within_10_interval']}): nearly always, not always."
    )


def machines_table():
    """Return the table with one row per machine."""
    lines = [
        "| machine | seeds | mean after epoch 10 (95% interval) | above 99.40% | worst "
        "| mean after epoch 15 (95% interval) | above 99.40% | worst |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for machine, (name, *_) in MACHINES.items():
        own = machine_summary(machine)
        cells = (
            f"{own[f'mean_{e}']} ({own[f'interval_{e}']}) | {own[f'above_{e}']} | {own[f'worst_{e}']}" for e in (10, 15)
        )
        lines.append(f"| {name} | {own['seeds']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def targets_table():
    """Return the table of the four targets that were set before the runs of seeds.csv, and what they reached."""
    runs, own = list(machine_runs("epyc").values()), machine_summary("epyc")
    mean, worst, n = stats.t_interval([run[9] for run in runs]), min(run[14] for run in runs), len(runs)
    within = sum(max(run[:10]) >= TARGET for run in runs)
    lowest = [min(run[9:15]) for run in runs]
    always, always_above = sum(a >= TARGET for a in lowest), sum(a > TARGET for a in lowest)
    verdicts = ("missed", "met")
    rows = (
        (
            "the mean after epoch 10 is 99.50% or more",
            f"{own['mean_10']} ({own['interval_10']})",
            "undecided" if mean.low < 99.5 < mean.high else verdicts[mean.mean >= 99.5],
        ),
        ("the worst seed after epoch 15 is at 99.40% or more", own["worst_15"], verdicts[worst >= TARGET]),
        (
            "every seed is at 99.40% or more at least once within 10 epochs",
            f"{within} of {n}; strictly above: {own['within_10']}",
            verdicts[within == n],
        ),
        (
            "95% of the seeds are at 99.40% or more in every epoch from 10 to 15",
            f"{own['always_at']}; strictly above: {own['always_above']}",
            f"{verdicts[always >= 0.95 * n]}; strictly, {verdicts[always_above >= 0.95 * n]}",
        ),
    )
    lines = [f"| {target} | {found} | {verdict} |" for target, found, verdict in rows]
    return "\n".join([f"| target | {n} seeds on the AMD EPYC | result |", "|---|---|---|", *lines])


def first_attempt():
    """Return `summarise` for the runs with the earlier strength of augmentation (see HISTORY.md)."""
    return summarise(accuracies(runner.read(RESULTS / "strength_seeds.csv")))


def untouched_mean():
    """Return the mean after epoch 10, with its interval, over the seeds from 10 and from 26, as text.

    The choices on held-out images used seeds 0 to 9, and the first attempt on the test set seeds 0 to 25.
    """
    runs = machine_runs("epyc")
    return {str(n): stats.t_interval([run[9] for seed, run in runs.items() if seed >= n]).percent() for n in (10, 26)}


def held_out():
    """Return `summarise` for the recipe trained on 50,000 of the training images, on the other 10,000."""
    rows = [row for row in runner.read(RESULTS / "strength.csv") if row["line"] == "strength 0.5"]
    return summarise(accuracies([row | {"test_accuracy": row["validation_accuracy"]} for row in rows]))


def differences(rows, others):
    """Return the `Estimate`s of `rows` minus `others`, paired by seed: "accuracy" in percentage points, and "loss".

    Both are as `runner.by_seed` defines them; the two intervals are simultaneous at 95%.
    """
    level = stats.bonferroni_level(2)
    return {
        metric: stats.compare(*(runner.by_seed(part, "test", metric) for part in (rows, others)), level)
        for metric in ("accuracy", "loss")
    }


def machine_difference(machine):
    """Return how a machine differs from the AMD EPYC over the seeds of both, as strings: name → text.

    `deviation` is the standard deviation of the difference in accuracy with its interval, `deviation_of_seeds` that of
    two different seeds on the EPYC. `unpaired_10` and `unpaired_15` are the differences of all seeds, not paired.
    """
    rows, others = machine_rows(machine), machine_rows("epyc")
    found = differences(rows, others)
    unpaired = {
        f"unpaired_{epoch}": stats.compare_means(
            *([run[epoch - 1] for run in accuracies(part).values()] for part in (rows, others))
        ).format(3)
        for epoch in (10, 15)
    }
    own, base = (runner.by_seed(part, "test", "accuracy") for part in (rows, others))
    deviation, low, high = stats.deviation_interval([own[seed] - base[seed] for seed in own if seed in base])
    return {
        "accuracy": found["accuracy"].format(3),
        "loss": found["loss"].format(4),
        "deviation": f"{deviation:.3f} ({low:.3f} to {high:.3f})",
        "deviation_of_seeds": f"{math.sqrt(2) * statistics.stdev(base.values()):.3f}",
        **unpaired,
    }


# --- The figure ------------------------------------------------------------------------------------------------------


def spread_out(values, centre=0.0, width=0.3):
    """Return an x for each of the sorted `values`, around `centre`, so that equal values do not hide each other."""
    return [centre + width * ((n * 0.618) % 1 - 0.5) for n in range(len(values))]


def mark_target(axes):
    """Draw the line of 99.4% into `axes`, whose y is an accuracy in percent."""
    axes.axhline(TARGET, color=plots.ORANGE, linestyle="--", linewidth=1.5, label="99.4%")
    axes.grid(axis="y", alpha=0.3)


@plots.own_style
def plot(runs):
    """Return a figure of `accuracies` by device, such as {"CPU": …, "GPU": …}: all curves, and epochs 10 and 15."""
    figure, axes = plots.new_figure(
        1, len(runs) + 1, height=4.0, sharey=True, width_ratios=[3] * len(runs) + [0.9 * len(runs)]
    )
    *panels, spread = axes
    colours = dict(zip(runs, (plots.BLUE, plots.GREY), strict=False))
    for (device, own), curves in zip(runs.items(), panels, strict=True):
        epochs = range(1, 1 + len(next(iter(own.values()))))
        means = [statistics.mean(values) for values in zip(*own.values(), strict=True)]
        for number, run in enumerate(own.values()):
            label = "one seed" if number == 0 else None
            curves.plot(epochs, run, color=colours[device], linewidth=0.7, alpha=0.4, label=label)
        curves.plot(epochs, means, color="black", linewidth=2.5, label="mean")
        mark_target(curves)
        curves.set(xlabel="epoch", xticks=epochs[::2], ylim=(98.4, 99.7), title=f"{device}: {len(own)} seeds")
    ticks = {}
    for place, (epoch, device) in enumerate(itertools.product((10, 15), runs)):
        reached = sorted(run[epoch - 1] for run in runs[device].values())
        spread.scatter(spread_out(reached, place, 0.5), reached, s=12, color=colours[device], alpha=0.6, linewidth=0)
        spread.plot([place - 0.35, place + 0.35], [statistics.mean(reached)] * 2, color="black", linewidth=2.5)
        ticks[place] = f"{device}\n{epoch}"
    mark_target(spread)
    spread.set(xlabel="device and epoch", xlim=(-0.6, len(ticks) - 0.4), title="after epochs 10 and 15")
    spread.set_xticks(list(ticks), list(ticks.values()))
    panels[0].set_ylabel("test accuracy (%)")
    panels[0].legend(loc="lower right")
    return figure


def main():
    parser = runner.parser("Train the recipe from many seeds.")
    parser.add_argument("--seeds", type=int, default=40, metavar="N", help="number of seeds (default: 40)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    default = csv_of(utils.pick_device())
    parser.set_defaults(csv=default)
    parser.add_argument("--epochs", type=int, default=runner.EPOCHS, help="fewer, for a quick look elsewhere")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"found --seeds {options.seeds}, expected at least 2: one run has no spread")
    if options.epochs != runner.EPOCHS and options.csv.resolve() == default:
        parser.error(f"--epochs {options.epochs} is not the recipe; name another file with --csv")
    runs = [{"seed": options.first + number} for number in range(options.seeds)]
    train = functools.partial(train_one, folder=options.csv.with_suffix(""), epochs=options.epochs)
    rows = runner.run_all(options.csv, COLUMNS, KEY_COLUMNS, runs, train, options.jobs, options.backend, options.epochs)
    if options.epochs == runner.EPOCHS:
        for name, text in summarise(accuracies(rows)).items():
            print(f"{name:<20} {text}")
        plot({"CPU": machine_runs("epyc"), "GPU": machine_runs("h100")}).savefig(CSV.with_suffix(".png"))


if __name__ == "__main__":
    main()
