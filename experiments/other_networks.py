"""Do other small networks do as well under the same recipe? `make exp-other_networks`

Five networks of other authors, each with its own kind of blocks, trained by `utils.fit` with its defaults, on any
device. Dropout is disabled, as in our recipe. One row per epoch goes to other_networks_cpu.csv or _cuda.csv, accuracies
in percent; other_networks.png shows the GPU's runs and ours on the same GPU.
"""

import itertools
from typing import NamedTuple

import pandas as pd
from torch import nn

import plots
import utils
from experiments import results, runner, seeds, stats

OURS = 6456
SEEDS = 12
EPOCHS = (10, 15)  # of table and figure


class Network(NamedTuple):
    """Another author's network: how to make it, its author's accuracy in percent, and its source."""

    make: callable
    accuracy: float
    source: str


def conv_bn_relu(*channels, kernel=3, padding=0, bias=False):
    """Return convolution → BatchNorm → ReLU for each pair of neighbours in `channels`."""
    layers = []
    for inputs, outputs in itertools.pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=bias), nn.BatchNorm2d(outputs), nn.ReLU()]
    return layers


def conv_relu_bn(*channels):
    """Return 3×3 convolution, padding 1, with bias → ReLU → BatchNorm for each pair of neighbours in `channels`."""
    layers = []
    for inputs, outputs in itertools.pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(outputs)]
    return layers


def make_3762():
    options = {"padding": 1, "bias": True}
    layers = [*conv_bn_relu(1, 4, 4, 4, **options), nn.MaxPool2d(2)]
    layers += [*conv_bn_relu(4, 8, 8, 8, **options), nn.MaxPool2d(2)]
    layers += [*conv_bn_relu(8, 8, 8, 8, **options), nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 10, 1)]
    return nn.Sequential(*layers, nn.Flatten())


def make_4838():
    layers = [*conv_relu_bn(1, 4, 4), nn.MaxPool2d(2), *conv_relu_bn(4, 8, 8), nn.MaxPool2d(2)]
    layers += [*conv_relu_bn(8, 16, 16), nn.Conv2d(16, 10, 1), nn.AdaptiveAvgPool2d(1)]
    return nn.Sequential(*layers, nn.Flatten())


def make_6188():
    layers = [*conv_bn_relu(1, 8, 10), nn.MaxPool2d(2), *conv_bn_relu(10, 12, 16), nn.MaxPool2d(2)]
    layers += [*conv_bn_relu(16, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(16, 10, bias=False))


def make_7496():
    layers = [*conv_bn_relu(1, 8, 16), nn.MaxPool2d(2), *conv_bn_relu(16, 8, kernel=1), *conv_bn_relu(8, 12, 16, 20)]
    layers += [nn.AvgPool2d(6), *conv_bn_relu(20, 16, kernel=1), nn.Conv2d(16, 10, 1, bias=False)]
    return nn.Sequential(*layers, nn.Flatten())


def make_9994():
    layers = [*conv_bn_relu(1, 10, 30), *conv_bn_relu(30, 10, kernel=1), nn.MaxPool2d(2)]
    layers += [*conv_bn_relu(10, 14, 14, 14), *conv_bn_relu(14, 14, padding=1)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Conv2d(14, 10, 1, bias=False)]
    return nn.Sequential(*layers, nn.Flatten())


# By number of parameters. Each accuracy is one run of its author, after epoch 15, 8, 12, 15 and 13.
WOOLLY = "https://github.com/adilsammar/woolly-of-cv"
NETWORKS = {
    3762: Network(make_3762, 99.52, WOOLLY),
    4838: Network(make_4838, 99.42, WOOLLY),
    6188: Network(make_6188, 99.54, "https://github.com/nagalakshmi-nimmagadda/MNIST-CNN-COLAB"),
    7496: Network(make_7496, 99.56, "https://github.com/vivek-a81/EVA6"),
    9994: Network(make_9994, 99.61, "https://github.com/sagarigrandhi/EVA4"),
}
ASSIGNMENT = 99.45  # ours as its author trained it: epoch 7, the best of the assignment's log


def train_one(run):
    """Train one network from one seed; return its rows."""
    history = runner.train(runner.load_splits(), run["seed"], make_model=NETWORKS[run["parameters"]].make)
    return runner.as_rows(run, history)


# --- Results ---------------------------------------------------------------------------------------------------------


def accuracies(rows):
    """Return test accuracies in percent: one row per number of parameters and seed, one column per epoch."""
    return rows.pivot(index=["parameters", "seed"], columns="epoch", values="test_accuracy")


def committed_runs():
    """Return `accuracies` on the GPU, with those of our network on the same GPU."""
    ours = seeds.machine_rows("h100").assign(parameters=OURS)
    return accuracies(pd.concat([seeds.machine_rows("h100", "other_networks_cuda"), ours])).sort_index()


def differences(epoch):
    """Return number of parameters → the `Estimate` of its difference in mean from ours on the GPU, not paired.

    For the networks of more than 6,000 parameters, whose intervals are simultaneous.
    """
    runs = committed_runs()[epoch]
    large = [parameters for parameters in NETWORKS if parameters > 6000]
    return {n: stats.compare_means(runs[n], runs[OURS], m=len(large)) for n in large}


def in_words():
    """Return epoch → which of the three larger networks differ significantly from ours after it, as text."""
    words = {}
    for epoch in (5, 8, *EPOCHS):
        found = [f"{n:,} parameters by {own.format()}" for n, own in differences(epoch).items() if own.excludes_zero]
        words[str(epoch)] = f"after epoch {epoch}, {' and '.join(found) or 'none of the three'}"
    return words


def table():
    """Return one row per network: parameters, seeds, means and differences from ours."""
    runs, rows = committed_runs(), []
    minus_ours = {epoch: differences(epoch) for epoch in EPOCHS}
    for parameters, own in runs.groupby("parameters"):
        row = ["**6,456**, this repository", len(own)]
        if parameters != OURS:
            row[0] = f"[{parameters:,}]({NETWORKS[parameters].source})"
        for epoch in EPOCHS:
            difference = minus_ours[epoch].get(parameters)
            row += [stats.t_interval(own[epoch]).percent(), difference.format() if difference else ""]
        rows.append(row)
    means = [f"mean after epoch {epoch} (95% interval)" for epoch in EPOCHS]
    return stats.markdown(("parameters", "seeds", means[0], "minus ours", means[1], "minus ours"), rows)


def check():
    """Return the mean difference of the runs on a CPU from the same seeds on the GPU, with its interval, as text."""
    cpu = accuracies(results.read("other_networks_cpu"))
    return stats.compare(cpu[15], committed_runs()[15]).format()


@seeds.large_style
def plot(runs):
    """Return a figure of `committed_runs`: every seed a dot, means with intervals, and each author's figure, hollow."""
    figure, panels = plots.new_figure(len(EPOCHS), 1, width=5.6, height=8.2, sharey=True)
    for epoch, axes in zip(EPOCHS, panels, strict=True):
        for place, (parameters, own) in enumerate(runs[epoch].groupby("parameters")):
            ours, estimate = parameters == OURS, stats.t_interval(own)
            dots, colour = seeds.spread_out(len(own), place, 0.5), plots.ORANGE if ours else plots.BLUE
            axes.scatter(dots, own.sort_values(), s=14, color=colour, alpha=0.45, linewidth=0)
            style = {"fmt": "_", "color": "black", "markersize": 14, "capsize": 4}
            mean = axes.errorbar(place, estimate.mean, estimate.lengths(), **style)
            author = ASSIGNMENT if ours else NETWORKS[parameters].accuracy
            hollow = axes.scatter(place, author, s=60, marker="D", facecolor="none", edgecolor="black")
        seeds.mark_target(axes)
        axes.set(xlabel="parameters", ylabel="test accuracy (%)", title=f"after epoch {epoch}")
        names = [f"{n:,}\n(ours)" if n == OURS else f"{n:,}" for n in runs.index.unique("parameters")]
        axes.set_xticks(range(len(names)), names)
    handles = [axes.scatter([], [], s=20, color=colour) for colour in (plots.BLUE, plots.ORANGE)]
    labels = ["one seed", "one seed, ours", "mean, 95% interval", "its author's figure"]
    panels[1].legend([*handles, mean, hollow], labels, loc="lower right", fontsize=10)
    return figure


def main():
    parser = runner.parser("Train five other small networks with our recipe.")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"seeds 0 to N-1 (default: {SEEDS})")
    options = parser.parse_args()
    runs = [{"parameters": n, "seed": seed} for seed in range(options.seeds) for n in NETWORKS]
    path = results.path_for(f"other_networks_{utils.pick_device().type}", options.update)
    rows = runner.run_all(path, runs, train_one, options)
    print(accuracies(rows).groupby("parameters")[15].describe().to_string())
    if options.update:
        plot(committed_runs()).savefig(path.with_stem("other_networks").with_suffix(".png"))


if __name__ == "__main__":
    main()
