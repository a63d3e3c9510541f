"""Is 99.4 % luck? The recipe of the notebook, trained once from every seed, none left out. `make seeds N=40`

Each run is `utils.fit` as it stands: all 60,000 training images, 15 epochs, the full test set after every epoch, the
averaged weights as they are then. Nothing is chosen by looking at a run. A row an epoch goes to experiments/results/seeds.csv,
accuracies in percent, and all curves to experiments/results/seeds.png; on a CUDA GPU to seeds_cuda.csv and seeds_cuda.png. Runs
that are in the file are not run again.
"""

import functools
import math
import statistics
from pathlib import Path

import utils
from experiments import runner as study
from experiments import stats as paired

CSV = Path(__file__).resolve().parent / "results" / "seeds.csv"
NAMES = ("seed",)
FIELDS = (*NAMES, *study.TRAINING, "test_loss", "test_accuracy", *study.MACHINE)


def csv_of(device):
    """Return the file of the runs on a `device`: those of two kinds of devices are not mixed."""
    return CSV if device.type == "cpu" else CSV.with_name(f"{CSV.stem}_{device.type}.csv")


def work(run, epochs=study.EPOCHS):
    """Train from one seed; return its rows."""
    splits = utils.load_mnist(study.ROOT / "data")
    return study.rows_of(study.train(splits, run["seed"], epochs=epochs), "test")


def accuracies(rows):
    """Return the test accuracies of `rows`, in percent: a dictionary from seed to a list with one an epoch."""
    runs = {}
    for row in rows:
        runs.setdefault(int(row["seed"]), []).append(float(row["test_accuracy"]))
    return dict(sorted(runs.items()))


def summarise(runs):
    """Return what the claim rests on, from `accuracies` of two runs or more: means, their 95 % intervals, and so on.

    Accuracies are in percent. A run that never reaches the target counts as reaching it in epoch infinity.
    """
    target = 100 * utils.TARGET_ACCURACY
    summary = {"seeds": len(runs)}
    for epoch in (10, 15):
        reached = [run[epoch - 1] for run in runs.values()]
        mean = paired.mean(reached)
        summary |= {
            f"mean_{epoch}": mean.mean,
            f"low_{epoch}": mean.low,
            f"high_{epoch}": mean.high,
            f"deviation_{epoch}": statistics.stdev(reached),
            f"worst_{epoch}": min(reached),
            f"best_{epoch}": max(reached),
        }
    late = [min(run[9:15]) for run in runs.values()]
    summary["always_from_10"] = sum(accuracy >= target for accuracy in late)
    firsts = [next((n for n, accuracy in enumerate(run, 1) if accuracy >= target), math.inf) for run in runs.values()]
    summary["first_median"] = statistics.median(firsts)
    summary["first_latest"] = max(firsts)
    summary["within_target_epoch"] = sum(first <= utils.TARGET_EPOCH for first in firsts)
    return summary


def tell(summary):
    """Return `summary` as lines of text."""
    median, latest = (f"{summary[name]:g}".replace("inf", "never") for name in ("first_median", "first_latest"))
    return (
        "{seeds} seeds, test accuracy of the averaged weights\n"
        "epoch 10: mean {mean_10:.3f}% (95% interval {low_10:.3f} to {high_10:.3f}), "
        "standard deviation {deviation_10:.3f}, worst {worst_10:.2f}%, best {best_10:.2f}%\n"
        "epoch 15: mean {mean_15:.3f}% (95% interval {low_15:.3f} to {high_15:.3f}), "
        "standard deviation {deviation_15:.3f}, worst {worst_15:.2f}%, best {best_15:.2f}%\n"
        "99.40% or more in every epoch from 10 to 15: {always_from_10} of {seeds} seeds\n"
        "99.40% reached within 10 epochs: {within_target_epoch} of {seeds} seeds\n"
        "first epoch at 99.40%: median {median}, latest {latest}"
    ).format(**summary, median=median, latest=latest)


def table(summary):
    """Return `summary` as the two rows that both READMEs have: epoch, mean, its interval, deviation, worst and best."""
    return (
        "| 10 | {mean_10:.3f} % | {low_10:.3f} to {high_10:.3f} "
        "| {deviation_10:.3f} | {worst_10:.2f} % | {best_10:.2f} % |\n"
        "| 15 | {mean_15:.3f} % | {low_15:.3f} to {high_15:.3f} "
        "| {deviation_15:.3f} | {worst_15:.2f} % | {best_15:.2f} % |"
    ).format(**summary)


def asked(summary):
    """Return the table of what was asked of the seeds before they were run, and whether `summary` has it."""
    n, target = summary["seeds"], 100 * utils.TARGET_ACCURACY
    rows = (
        ("the mean after epoch 10 at 99.50 % or above", f"{summary['mean_10']:.3f} %", summary["mean_10"] >= 99.5),
        (
            "the worst seed after epoch 15 at 99.40 % or above",
            f"{summary['worst_15']:.2f} %",
            summary["worst_15"] >= target,
        ),
        (
            "every seed at 99.40 % within 10 epochs",
            f"{summary['within_target_epoch']} of {n}",
            summary["within_target_epoch"] == n,
        ),
        (
            "95 % of the seeds there in every epoch from 10 to 15",
            f"{summary['always_from_10']} of {n}",
            summary["always_from_10"] >= 0.95 * n,
        ),
    )
    return "\n".join(f"| {what} | {found} | {'met' if good else 'missed'} |" for what, found, good in rows)


def against(rows, others):
    """Return the `Difference`s of `rows` less `others`, rows of the file, over the seeds that both have.

    They are of "accuracy", in percentage points, and of "loss", as `study.by_seed` reads them; both intervals hold
    together at 95 %.
    """
    level = paired.simultaneous(2)
    return {
        metric: paired.compare(*(study.by_seed(part, "test", metric) for part in (rows, others)), level)
        for metric in ("accuracy", "loss")
    }


def plot(runs):
    """Return a figure of `accuracies`: every seed's curve and their mean, and the spread at epochs 10 and 15."""
    figure, (curves, spread) = utils.canvas(1, 2, height=4.2, sharey=True, width_ratios=[3, 1])
    epochs = range(1, 1 + len(next(iter(runs.values()))))
    means = [statistics.mean(values) for values in zip(*runs.values(), strict=True)]
    for number, run in enumerate(runs.values()):
        curves.plot(epochs, run, color=utils.BLUE, linewidth=0.7, alpha=0.45, label="one seed" if number == 0 else None)
    curves.plot(epochs, means, color="black", linewidth=2.5, label=f"mean of {len(runs)} seeds")
    for place, epoch in enumerate((10, 15)):
        reached = sorted(run[epoch - 1] for run in runs.values())
        sideways = [place + 0.3 * ((n * 0.618) % 1 - 0.5) for n in range(len(reached))]  # apart, so that none is hidden
        spread.scatter(sideways, reached, s=18, color=utils.BLUE, alpha=0.6, linewidth=0)
        spread.plot([place - 0.3, place + 0.3], [means[epoch - 1]] * 2, color="black", linewidth=2.5)
    for axes in (curves, spread):
        axes.axhline(100 * utils.TARGET_ACCURACY, color=utils.ORANGE, linestyle="--", linewidth=1.2, label="99.4 %")
        axes.grid(axis="y", alpha=0.3)
    curves.set(xlabel="epoch", ylabel="test accuracy (%)", xticks=epochs, ylim=(98.4, 99.7))
    spread.set(xlabel="spread at epoch", xticks=(0, 1), xticklabels=(10, 15), xlim=(-0.6, 1.6))
    curves.legend(loc="lower right")
    return figure


def main():
    parser = study.parser("Train the recipe from many seeds, and keep every run.")
    parser.add_argument("--seeds", type=int, default=40, metavar="N", help="seeds 0 to N-1 (default: 40)")
    usual = csv_of(utils.pick_device())
    where = f"where to keep the runs (default here: experiments/{usual.name})"
    parser.add_argument("--csv", type=Path, default=usual, help=where)
    parser.add_argument("--epochs", type=int, default=study.EPOCHS, help="fewer, for a quick look elsewhere")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds is {options.seeds}; it must be at least 2, since one run has no spread")
    if options.epochs != study.EPOCHS and options.csv.resolve() == usual:
        parser.error(f"--epochs {options.epochs} is not the recipe; name another file with --csv")
    runs = [{"seed": seed} for seed in range(options.seeds)]
    some = functools.partial(work, epochs=options.epochs)
    rows = study.study(options.csv, FIELDS, NAMES, runs, some, options.jobs, options.backend, options.epochs)
    if options.epochs == study.EPOCHS:
        found = accuracies(rows)
        print(tell(summarise(found)))
        if options.csv.resolve() != CSV:
            told = (f"{metric} {own.tell(5)}" for metric, own in against(rows, study.read(CSV)).items())
            print(f"less that of the same seeds in {CSV.name}: {', '.join(told)}")
        plot(found).savefig(options.csv.with_suffix(".png"))


if __name__ == "__main__":
    main()
