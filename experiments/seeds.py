"""Is 99.4% luck? Train the recipe once from every seed and report every run. `make exp-seeds`

A run is `utils.fit` with its defaults: all 60,000 training images, 15 epochs, the full test set after every epoch with
the EMA weights. No run or epoch is selected. One row per epoch, accuracies in percent, goes to build/seeds.csv, or
build/seeds_cuda.csv on a GPU; the weights go to a folder of the same name. seeds.png shows the runs.
"""

import functools
import math

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from scipy.stats import binomtest

import plots
import utils
from experiments import results, runner, stats
from model import save_weights

# The committed runs: machine → its name and its file.
MACHINES = {
    "epyc": ("2 cores of an AMD EPYC", "seeds"),
    "xeon": ("2 cores of an Intel Xeon", "seeds_xeon"),
    "xeon_errors": ("the Xeon, other seeds", "seeds_xeon_errors"),
    "h100": ("NVIDIA H100", "seeds_cuda"),
}
TARGET = 100 * plots.TARGET_ACCURACY


def train_one(run, folder, epochs=runner.EPOCHS):
    """Train from one seed; return its rows, and save the weights as `folder`/SEED.pt.

    The column `wrong` has the indices of the misclassified test images, separated by spaces.
    """

    def wrong(state, test):
        save_weights(state.ema_model, folder / f"{run['seed']}.pt")
        predicted = utils.compute_logits(state.ema_model, test.images).argmax(dim=1)
        return {"wrong": " ".join(map(str, (predicted != test.labels).nonzero()[:, 0].tolist()))}

    return runner.train(run, measure=wrong, epochs=epochs)


def accuracies(rows, column="test_accuracy"):
    """Return accuracies in percent, one row per seed, one column per epoch."""
    return rows.pivot(index="seed", columns="epoch", values=column)


def machine_runs(machine):
    """Return `accuracies` of one of `MACHINES`."""
    return accuracies(results.read(MACHINES[machine][1]))


def chance(true):
    """Return the 95% interval (Clopper and Pearson) of the probability that one of `true`, bool [N], is true."""
    return binomtest(true.sum(), len(true)).proportion_ci()


def summarize(runs):
    """Return figures of `accuracies` as text. Intervals are 95% intervals.

    "Above" means strictly above 99.40%. `told_apart` is the difference that two single runs must exceed. `always`
    refers to epochs 10 to 15.
    """
    best, lowest = runs.loc[:, :10].max(axis=1), runs.loc[:, 10:].min(axis=1)
    reached = {
        "above_10": runs[10] > TARGET,
        "above_15": runs[15] > TARGET,
        "within_10": best > TARGET,
        "within_10_at": best >= TARGET,
        "always": lowest > TARGET,
        "always_at": lowest >= TARGET,
    }
    figures = {name: f"{true.sum()} of {len(true)}" for name, true in reached.items()} | {"seeds": f"{len(runs)}"}
    for name in ("above_10", "within_10"):
        figures[f"{name}_interval"] = "{:.1%} to {:.1%}".format(*chance(reached[name]))
    for epoch in (10, 15):
        figures |= {
            f"mean_{epoch}": f"{stats.fixed(runs[epoch].mean(), 3)}%",
            f"estimate_{epoch}": stats.t_interval(runs[epoch]).percent(),
            f"told_apart_{epoch}": f"{1.96 * math.sqrt(2) * runs[epoch].std():.2f}",
            f"worst_{epoch}": f"{runs[epoch].min():.2f}%",
        }
    return figures


@functools.cache
def machine_summary(machine):
    """Return `summarize` for one of `MACHINES`, and the range of the minutes that a seed took, as text."""
    minutes = results.read(MACHINES[machine][1]).groupby("seed")["seconds"].sum() / 60
    return summarize(machine_runs(machine)) | {"minutes": f"{minutes.min():.1f} to {minutes.max():.1f}"}


def headline():
    """Return how often a run is above 99.40%, in plain words."""
    cpu, gpu = machine_summary("epyc"), machine_summary("h100")
    low, high = (100 * end for end in chance(machine_runs("h100")[10] > TARGET))
    return (
        f"After epoch 10, {cpu['above_10']} runs on a CPU and {gpu['above_10']} on a GPU are above 99.40%; at the best "
        f"of the first ten epochs, {cpu['within_10']} and {gpu['within_10']}. Judging by those on the GPU, a new run "
        "is above 99.40% after epoch 10 with a probability "
        f"between {math.floor(low)}% and {math.ceil(high)}% (95% interval)."
    )


def machines_table():
    """Return the table with one row per machine."""
    keys = ("seeds", *(f"{name}_{epoch}" for epoch in (10, 15) for name in ("estimate", "above", "worst")))
    rows = [(name, *map(machine_summary(machine).get, keys)) for machine, (name, _) in MACHINES.items()]
    columns = ["machine", "seeds"]
    for epoch in (10, 15):
        columns += [f"mean after epoch {epoch} (95% interval)", "above 99.40%", "worst"]
    return stats.markdown(columns, rows)


def earlier_summary(name, column, line=None):
    """Return `summarize` for a `column` of results/`name`.csv, a file of HISTORY.md, or for one `line` of it."""
    rows = results.read(name)
    return summarize(accuracies(rows if line is None else rows[rows["line"] == line], column))


def machine_difference(machine):
    """Return how a machine differs from the AMD EPYC in accuracy, as text.

    `paired` is over the seeds of both and epochs 10 to 15. `all_10` and `all_15` are the differences in mean of all
    seeds after one epoch, not paired.
    """
    runs, base = machine_runs(machine), machine_runs("epyc")
    paired = stats.compare(runs.loc[:, 10:].mean(axis=1), base.loc[:, 10:].mean(axis=1))
    unpaired = {f"all_{epoch}": stats.compare_means(runs[epoch], base[epoch]).format() for epoch in (10, 15)}
    return {"paired": paired.format()} | unpaired


# For figures 560 pixels wide that are read on a phone, too.
large_style = plt.style.context(["default", {"font.size": 12}])


def draw_dots(axes, place, values, colour):
    """Draw one dot for each of `values`, a Series, around `place`, so that equal ones do not hide each other."""
    places = place + 0.5 * ((np.arange(len(values)) * 0.618) % 1 - 0.5)
    axes.scatter(places, values.sort_values(), s=14, color=colour, alpha=0.6, linewidth=0)


def mark_target(axes):
    """Label the y axis of `axes` as test accuracy in percent, and draw the line of 99.4%."""
    axes.axhline(TARGET, color=plots.ORANGE, linestyle="--", linewidth=1.5, label="99.4%")
    axes.set_ylabel("test accuracy (%)")
    axes.grid(axis="y", alpha=0.3)


@large_style
def plot(runs):
    """Return a figure of `accuracies` by device, such as {"CPU": …, "GPU": …}: all curves, and epochs 10 and 15."""
    figure, axes = plots.new_figure(len(runs) + 1, 1, width=5.6, height=2.9 * (len(runs) + 1))
    *panels, spread = axes
    ticks = {}
    for number, (device, own) in enumerate(runs.items()):
        curves, colour = panels[number], (plots.BLUE, plots.GREY)[number]
        curves.plot(own.columns, own.T, color=colour, linewidth=0.7, alpha=0.4)
        curves.lines[0].set_label("one seed")
        curves.plot(own.columns, own.mean(), color="black", linewidth=2.5, label="mean")
        curves.set(xlabel="epoch", xticks=own.columns[::2], ylim=(98.5, 99.7), title=f"{device}: {len(own)} seeds")
        for place, epoch in ((number, 10), (number + len(runs), 15)):
            draw_dots(spread, place, own[epoch], colour)
            spread.plot([place - 0.35, place + 0.35], [own[epoch].mean()] * 2, color="black", linewidth=2.5)
            ticks[place] = f"{device}\nepoch {epoch}"
    spread.set(title="after epochs 10 and 15")
    spread.set_xticks(list(ticks), list(ticks.values()))
    for panel in axes:
        mark_target(panel)
    panels[0].legend(loc="lower right")
    return figure


def main():
    parser = runner.parser("Train the recipe from many seeds.", seeds=40)
    parser.add_argument("--first", type=int, default=0, help="added to each seed (default: 0)")
    parser.add_argument("--epochs", type=int, default=runner.EPOCHS, help="of the whole schedule (default: 15)")
    options = parser.parse_args()
    kind, whole = utils.pick_device().type, options.epochs == runner.EPOCHS
    name = "seeds" if whole else f"schedule_{options.epochs}"
    path = results.path_for(name if kind == "cpu" else f"{name}_{kind}", options.update)
    runs = [{"seed": options.first + number} for number in range(options.seeds)]
    train = functools.partial(train_one, folder=results.BUILD / path.stem, epochs=options.epochs)
    own = accuracies(runner.run_all(path, runs, train, options, options.epochs))
    print(own.describe().to_string())
    if whole:
        print(pd.Series(summarize(own)).to_string())
        committed = {"CPU": machine_runs("epyc"), "GPU": machine_runs("h100")}
        figure = plot(committed if options.update else {kind.upper(): own})
        figure.savefig(results.path_for("seeds", options.update).with_suffix(".png"))


if __name__ == "__main__":
    main()
