"""Do other small networks do as well under the same recipe? `make exp-other_networks`

Five networks of other authors, each with its own kind of blocks, trained by `utils.fit` with its defaults, on any
device. Dropout is disabled, as in our recipe. One row per epoch goes to other_networks_cpu.csv or _cuda.csv, accuracies
in percent; other_networks.png shows the GPU's runs and ours on the same GPU.
"""

import itertools

import pandas as pd
from torch import nn

import plots
import utils
from experiments import results, runner, seeds, stats

OURS = 6456
EPOCHS = (10, 15)  # of table and figure

SOURCES = {  # by number of parameters
    3762: "https://github.com/adilsammar/woolly-of-cv",
    4838: "https://github.com/adilsammar/woolly-of-cv",
    6188: "https://github.com/nagalakshmi-nimmagadda/MNIST-CNN-COLAB",
    7496: "https://github.com/vivek-a81/EVA6",
    9994: "https://github.com/sagarigrandhi/EVA4",
}


def blocks(*channels, kernel=3, padding=0, bias=False, relu_first=False):
    """Return convolution → BatchNorm → ReLU, the last two swapped if `relu_first`, for neighbours in `channels`."""
    layers = []
    for inputs, outputs in itertools.pairwise(channels):
        layers.append(nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=bias))
        rest = [nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += reversed(rest) if relu_first else rest
    return layers


def make(parameters):
    """Return the network with this number of parameters, as its author describes it, but without dropout."""
    pool, mean, flatten = nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    padded = {"padding": 1, "bias": True}
    swapped = padded | {"relu_first": True}
    if parameters == 3762:
        layers = [*blocks(1, 4, 4, 4, **padded), pool, *blocks(4, 8, 8, 8, **padded), pool]
        layers += [*blocks(8, 8, 8, 8, **padded), mean, nn.Conv2d(8, 10, 1), flatten]
    elif parameters == 4838:
        layers = [*blocks(1, 4, 4, **swapped), pool, *blocks(4, 8, 8, **swapped), pool]
        layers += [*blocks(8, 16, 16, **swapped), nn.Conv2d(16, 10, 1), mean, flatten]
    elif parameters == 6188:
        layers = [*blocks(1, 8, 10), pool, *blocks(10, 12, 16), pool, *blocks(16, 16)]
        layers += [mean, flatten, nn.Linear(16, 10, bias=False)]
    elif parameters == 7496:
        layers = [*blocks(1, 8, 16), pool, *blocks(16, 8, kernel=1), *blocks(8, 12, 16, 20), nn.AvgPool2d(6)]
        layers += [*blocks(20, 16, kernel=1), nn.Conv2d(16, 10, 1, bias=False), flatten]
    elif parameters == 9994:
        layers = [*blocks(1, 10, 30), *blocks(30, 10, kernel=1), pool, *blocks(10, 14, 14, 14)]
        layers += [*blocks(14, 14, padding=1), mean, nn.Conv2d(14, 10, 1, bias=False), flatten]
    return nn.Sequential(*layers)


def train_one(run):
    """Train one network from one seed; return its rows."""
    return runner.train(run, make_model=lambda: make(run["parameters"]))


def accuracies(rows):
    """Return test accuracies in percent: one row per number of parameters and seed, one column per epoch."""
    return rows.pivot(index=["parameters", "seed"], columns="epoch", values="test_accuracy").sort_index()


def committed_runs():
    """Return `accuracies` on the GPU, with those of our network on the same GPU."""
    ours = results.read("seeds_cuda").assign(parameters=OURS)
    return accuracies(pd.concat([results.read("other_networks_cuda"), ours]))


def differences(epoch):
    """Return number of parameters → the `Estimate` of its difference in mean from ours on the GPU, not paired.

    The intervals are simultaneous.
    """
    runs = committed_runs()[epoch]
    return {n: stats.compare_means(runs[n], runs[OURS], m=len(SOURCES)) for n in SOURCES}


def in_words():
    """Return epoch → which of the three larger networks differ significantly from ours after it, as text."""
    words = {}
    for epoch in (5, 8, *EPOCHS):
        large = {n: own for n, own in differences(epoch).items() if n > 6000}
        found = [f"{n:,} parameters by {own.format()}" for n, own in large.items() if own.direction]
        words[str(epoch)] = f"after epoch {epoch}, {' and '.join(found) or 'none of the three'}"
    return words


def table():
    """Return one row per network: parameters, seeds, means and differences from ours."""
    rows, minus_ours = [], {epoch: differences(epoch) for epoch in EPOCHS}
    for parameters, own in committed_runs().groupby("parameters"):
        ours = parameters == OURS
        row = [f"**{OURS:,}**, this repository" if ours else f"[{parameters:,}]({SOURCES[parameters]})", len(own)]
        for epoch in EPOCHS:
            difference = "" if ours else minus_ours[epoch][parameters].format()
            row += [stats.t_interval(own[epoch]).percent(), difference]
        rows.append(row)
    columns = ["parameters", "seeds"]
    for epoch in EPOCHS:
        columns += [f"mean after epoch {epoch} (95% interval)", "minus ours"]
    return stats.markdown(columns, rows)


def check():
    """Return the mean difference of the runs on a CPU from the same seeds on the GPU, with its interval, as text."""
    return stats.compare(accuracies(results.read("other_networks_cpu"))[15], committed_runs()[15]).format()


@seeds.large_style
def plot(runs):
    """Return a figure of `committed_runs`: every seed a dot, and means with intervals."""
    figure, panels = plots.new_figure(len(EPOCHS), 1, width=5.6, height=8.2, sharey=True)
    for epoch, axes in zip(EPOCHS, panels, strict=True):
        for place, (parameters, own) in enumerate(runs[epoch].groupby("parameters")):
            seeds.draw_dots(axes, place, own, plots.ORANGE if parameters == OURS else plots.BLUE)
        means = [stats.t_interval(own) for _, own in runs[epoch].groupby("parameters")]
        lengths = [estimate.high - estimate.mean for estimate in means]
        style = {"fmt": "_", "color": "black", "markersize": 14, "capsize": 4, "label": "mean, 95% interval"}
        axes.errorbar(range(len(means)), [estimate.mean for estimate in means], lengths, **style)
        axes.set(xlabel="parameters", title=f"after epoch {epoch}")
        names = [f"{n:,}\n(ours)" if n == OURS else f"{n:,}" for n in sorted([OURS, *SOURCES])]
        axes.set_xticks(range(len(names)), names)
    for colour, label in ((plots.BLUE, "one seed"), (plots.ORANGE, "one seed, ours")):
        axes.scatter([], [], s=20, color=colour, label=label)
    axes.legend(loc="lower right", fontsize=10)
    for axes in panels:
        seeds.mark_target(axes)
    return figure


def main():
    options = runner.parser("Train five other small networks with our recipe.", seeds=12).parse_args()
    runs = [{"parameters": n, "seed": seed} for seed in range(options.seeds) for n in SOURCES]
    path = results.path_for(f"other_networks_{utils.pick_device().type}", options.update)
    rows = runner.run_all(path, runs, train_one, options)
    print(accuracies(rows).groupby("parameters")[15].describe().to_string())
    if options.update:
        plot(committed_runs()).savefig(path.with_stem("other_networks").with_suffix(".png"))


if __name__ == "__main__":
    main()
