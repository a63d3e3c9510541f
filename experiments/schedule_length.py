"""How many epochs does it need? The recipe in one cycle of 3 to 30 epochs. `make budget`

A cycle is `utils.fit(epochs=N)` and nothing else changed: learning rate and augmentation go through their whole course
in N epochs. All 60,000 training images; the test set is evaluated after the last epoch, and nothing is chosen by it. A
row a run goes to experiments/results/schedule_length.csv, accuracies in percent. The cycle of 15 epochs is the recipe, whose runs
seeds.csv holds; the time of an epoch is that in speed.csv, since these runs share the machine with one another.
"""

import statistics
from pathlib import Path

import utils
from experiments import runner as study
from experiments import seeds
from experiments import stats as paired

CSV = Path(__file__).resolve().parent / "results" / "schedule_length.csv"
NAMES = ("epochs", "seed")
FIELDS = (*NAMES, "train_loss", "train_accuracy", "test_loss", "test_accuracy", *study.MACHINE)
CYCLES = {3: 10, 4: 10, 5: 10, 6: 10, 8: 10, 10: 10, 30: 5}  # epochs → seeds


def work(run):
    """Train one cycle from one seed; return its last epoch as its one row, `seconds` being those of all its epochs."""
    splits = utils.load_mnist(study.ROOT / "data")
    history = study.train(splits, run["seed"], epochs=run["epochs"])
    (row,) = study.rows_of(history[-1:], "test")
    del row["epoch"]
    return [row | {"seconds": f"{sum(epoch['seconds'] for epoch in history):.1f}"}]


def read():
    """Return `accuracies` of the two files."""
    return accuracies(study.read(CSV), study.read(seeds.CSV))


def accuracies(rows, recipe):
    """Return epochs → seed → test accuracy after the last, in percent, from `rows` and those of seeds.csv, `recipe`."""
    found = {study.EPOCHS: {seed: run[-1] for seed, run in seeds.accuracies(recipe).items() if seed < 10}}
    for row in rows:
        found.setdefault(int(row["epochs"]), {})[int(row["seed"])] = float(row["test_accuracy"])
    return dict(sorted(found.items()))


def summarise(found):
    """Return a row a cycle of `accuracies`: mean, its 95 % interval, the worst seed, how many reach 99.4 %."""
    target, table = 100 * utils.TARGET_ACCURACY, []
    for epochs, values in found.items():
        own = paired.mean(list(values.values()))
        row = {"epochs": epochs, "seeds": len(values), "mean": own.mean, "low": own.low, "high": own.high}
        row |= {"worst": min(values.values()), "reached": sum(value >= target for value in values.values())}
        table.append(row)
    return table


def fewest(table):
    """Return the fewest epochs whose mean is at 99.4 %, and the fewest in which 95 % of the seeds are, or None."""
    mean = [row["epochs"] for row in table if row["mean"] >= 100 * utils.TARGET_ACCURACY]
    share = [row["epochs"] for row in table if row["reached"] >= 0.95 * row["seeds"]]
    return min(mean, default=None), min(share, default=None)


def tell(table):
    """Return `summarise` as the table of experiments/README.md."""
    layout = "| {epochs} | {seeds} | {mean:.3f} % ({low:.3f} to {high:.3f}) | {worst:.2f} % | {reached} of {seeds} |"
    return "\n".join(layout.format(**row) for row in table)


def plot(found, seconds):
    """Return a figure of `accuracies`, every seed a dot, against epochs and, above, minutes of `seconds` an epoch."""
    figure, axes = utils.canvas(height=4.2)
    for number, (epochs, values) in enumerate(found.items()):
        reached = sorted(values.values())
        near = [epochs * 1.03 ** (2 * ((n * 0.618) % 1) - 1) for n in range(len(reached))]  # apart: none is hidden
        label = "one seed" if number == 0 else None
        axes.scatter(near, reached, s=22, color=utils.BLUE, alpha=0.6, linewidth=0, label=label)
    means = [statistics.mean(values.values()) for values in found.values()]
    axes.plot(list(found), means, color="black", marker="_", markersize=16, label="mean")
    target = 100 * utils.TARGET_ACCURACY
    axes.axhline(target, color=utils.ORANGE, linestyle="--", linewidth=1.2, label="99.4 %")
    axes.set(xscale="log", xlabel="epochs in the cycle", ylabel="test accuracy after the last epoch (%)")
    axes.set_xticks(list(found), list(found))
    axes.minorticks_off()
    minutes = axes.secondary_xaxis("top")
    minutes.set_xlabel("minutes on two cores, evaluation included")
    minutes.set_xticks(list(found), [f"{epochs * seconds / 60:.1f}" for epochs in found])
    minutes.minorticks_off()
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="lower right")
    return figure


def epoch_seconds():
    """Return the median seconds of one of our epochs on a CPU, evaluation included, from speed.csv."""
    rows = [row for row in study.read(CSV.with_name("speed.csv")) if row["device"].startswith("cpu ")]
    return float(next(row["median"] for row in rows if row["variant"] == "ours" and row["metric"] == "epoch_s"))


def main():
    options = study.parser("Train the recipe in cycles of 3 to 30 epochs.").parse_args()
    runs = [{"epochs": epochs, "seed": seed} for epochs, n in CYCLES.items() for seed in range(n)]
    study.study(CSV, FIELDS, NAMES, runs, work, options.jobs, options.backend, epochs=1)
    found = read()
    table = summarise(found)
    print(tell(table))
    print("fewest epochs whose mean, and 95 % of whose seeds, are at 99.4 %: {} and {}".format(*fewest(table)))
    plot(found, epoch_seconds()).savefig(CSV.with_suffix(".png"))


if __name__ == "__main__":
    main()
