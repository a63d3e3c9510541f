"""Do other small networks do as well under the same recipe? `make exp-other_networks`

Five networks of other authors, each with its own kind of blocks, trained by `utils.fit` with its defaults, on any
device. Dropout is disabled, as in our recipe. One row per epoch goes to other_networks_cpu.csv or
_cuda.csv, accuracies in percent; other_networks.png shows the GPU's runs and ours on the same GPU.
"""

from typing import NamedTuple

import pandas as pd
from torch import nn

import plots
import utils
from experiments import results, runner, seeds, stats

OURS = 6456
SEEDS = 12


class Network(NamedTuple):
    """Another author's network: how to make it, its author's accuracy in percent, when that was, and its source."""

    make: callable
    accuracy: float
    reached: str
    source: str


def conv_bn_relu(inputs, outputs, kernel=3, padding=0, bias=False):
    """Return convolution → BatchNorm → ReLU."""
    return [nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=bias), nn.BatchNorm2d(outputs), nn.ReLU()]


def conv_relu_bn(inputs, outputs):
    """Return 3×3 convolution, padding 1, with bias → ReLU → BatchNorm."""
    return [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(outputs)]


def make_3762():
    layers = []
    for place, (inputs, outputs) in enumerate([(1, 4), (4, 8), (8, 8)]):
        layers += [nn.MaxPool2d(2)] if place else []
        for own in (inputs, outputs, outputs):
            layers += conv_bn_relu(own, outputs, padding=1, bias=True)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 10, 1), nn.Flatten())


def make_4838():
    layers = []
    for place, (inputs, outputs) in enumerate([(1, 4), (4, 8), (8, 16)]):
        layers += [nn.MaxPool2d(2)] if place else []
        layers += conv_relu_bn(inputs, outputs) + conv_relu_bn(outputs, outputs)
    return nn.Sequential(*layers, nn.Conv2d(16, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def make_6188():
    return nn.Sequential(
        *conv_bn_relu(1, 8),
        *conv_bn_relu(8, 10),
        nn.MaxPool2d(2),
        *conv_bn_relu(10, 12),
        *conv_bn_relu(12, 16),
        nn.MaxPool2d(2),
        *conv_bn_relu(16, 16),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10, bias=False),
    )


def make_7496():
    return nn.Sequential(
        *conv_bn_relu(1, 8),
        *conv_bn_relu(8, 16),
        nn.MaxPool2d(2),
        *conv_bn_relu(16, 8, kernel=1),
        *conv_bn_relu(8, 12),
        *conv_bn_relu(12, 16),
        *conv_bn_relu(16, 20),
        nn.AvgPool2d(6),
        *conv_bn_relu(20, 16, kernel=1),
        nn.Conv2d(16, 10, 1, bias=False),
        nn.Flatten(),
    )


def make_9994():
    return nn.Sequential(
        *conv_bn_relu(1, 10),
        *conv_bn_relu(10, 30),
        *conv_bn_relu(30, 10, kernel=1),
        nn.MaxPool2d(2),
        *conv_bn_relu(10, 14),
        *conv_bn_relu(14, 14),
        *conv_bn_relu(14, 14),
        *conv_bn_relu(14, 14, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(14, 10, 1, bias=False),
        nn.Flatten(),
    )


# By number of parameters. Each accuracy is one run of its author, the best epoch if there are several figures.
WOOLLY = "https://github.com/adilsammar/woolly-of-cv"
NETWORKS = {
    3762: Network(make_3762, 99.52, "epoch 15", WOOLLY),
    4838: Network(make_4838, 99.42, "epoch 8, the best", WOOLLY),
    6188: Network(make_6188, 99.54, "epoch 12, the best", "https://github.com/nagalakshmi-nimmagadda/MNIST-CNN-COLAB"),
    7496: Network(make_7496, 99.56, "epoch 15", "https://github.com/vivek-a81/EVA6"),
    9994: Network(make_9994, 99.61, "epoch 13, the best", "https://github.com/sagarigrandhi/EVA4"),
}
ASSIGNMENT = 99.45  # ours as its author trained it: the best epoch, the seventh, of the assignment's log


def train_one(run):
    """Train one network from one seed; return its rows."""
    history = runner.train(runner.load_splits(), run["seed"], make_model=NETWORKS[run["parameters"]].make)
    return runner.as_rows(run, history)


def accuracies(rows):
    """Return the test accuracies after epoch 15, in percent: a Series by number of parameters and seed."""
    return rows[rows["epoch"] == runner.EPOCHS].set_index(["parameters", "seed"])["test_accuracy"].sort_index()


def with_ours():
    """Return `accuracies` on the GPU, with those of our network on the same GPU."""
    ours = seeds.machine_rows("h100").assign(parameters=OURS)
    return accuracies(pd.concat([seeds.machine_rows("h100", "other_networks_cuda"), ours]))


def table():
    """Return one row per network: parameters, seeds, mean with its interval, worst seed, its author's figure."""
    rows = []
    for parameters, runs in with_ours().groupby("parameters"):
        if parameters == OURS:
            name, author = "**6,456**, this repository", f"{ASSIGNMENT:.2f}%, epoch 7, the best"
        else:
            network = NETWORKS[parameters]
            name, author = f"[{parameters:,}]({network.source})", f"{network.accuracy:.2f}%, {network.reached}"
        rows.append((name, len(runs), stats.t_interval(runs).percent(), f"{runs.min():.2f}%", author))
    mean, author = "mean after epoch 15 (95% interval)", "its author's figure, from one run"
    return stats.markdown(("parameters", "seeds", mean, "worst seed", author), rows)


def differences():
    """Return number of parameters → its difference in mean from ours on the GPU, all seeds of both, as text.

    For the networks of 6,000 parameters or more, whose intervals are simultaneous at 95%.
    """
    runs = with_ours()
    large = [parameters for parameters in NETWORKS if parameters > 6000]
    level = stats.bonferroni_level(len(large))
    return {str(n): stats.compare_means(runs[n], runs[OURS], level).format(3) for n in large}


def check():
    """Return the mean difference of the runs on a CPU from the same seeds on the GPU, with its interval, as text."""
    return stats.compare(accuracies(results.read("other_networks_cpu")), with_ours()).format(3)


def check_table():
    """Return the runs on a CPU beside the same seeds on the GPU."""
    cpu = accuracies(results.read("other_networks_cpu"))
    both = pd.DataFrame({"cpu": cpu, "gpu": with_ours()}).dropna()
    rows = [(f"{n:,}", seed, f"{row.cpu:.2f}%", f"{row.gpu:.2f}%") for (n, seed), row in both.iterrows()]
    return stats.markdown(("parameters", "seed", "epoch 15 on a CPU", "epoch 15 on the GPU"), rows)


@plots.default_style
def plot(runs):
    """Return a figure of `with_ours`: every seed a dot, means with intervals, and each author's figure, hollow."""
    figure, axes = plots.new_figure(height=4.4)
    for number, (parameters, own) in enumerate(runs.groupby("parameters")):
        ours, estimate = parameters == OURS, stats.t_interval(own)
        dots = seeds.spread_out(len(own), parameters, 240 if ours else 120)
        axes.scatter(dots, own.sort_values(), s=14, color=plots.ORANGE if ours else plots.BLUE, alpha=0.45, linewidth=0)
        lengths = [[estimate.mean - estimate.low], [estimate.high - estimate.mean]]
        label = "mean, 95% interval" if number == 0 else None
        axes.errorbar(parameters, estimate.mean, lengths, fmt="_", color="black", markersize=16, capsize=5, label=label)
        author = ASSIGNMENT if ours else NETWORKS[parameters].accuracy
        label = "its author's figure, one run" if number == 0 else None
        axes.scatter(parameters, author, s=64, marker="D", facecolor="none", edgecolor="black", label=label)
    axes.scatter([], [], s=20, color=plots.BLUE, label="one seed, other networks")
    axes.scatter([], [], s=20, color=plots.ORANGE, label="one seed, this repository")
    seeds.mark_target(axes)
    axes.set(xlabel="parameters", ylabel="test accuracy after epoch 15 (%)", xlim=(3000, 10800))
    names = {n: f"\n{n:,}\n(this repository)" if n == OURS else f"{n:,}" for n in runs.index.unique("parameters")}
    axes.set_xticks(list(names), list(names.values()))
    axes.legend(loc="lower right", fontsize=8)
    return figure


def main():
    parser = runner.parser("Train five other small networks with our recipe.")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"seeds 0 to N-1 (default: {SEEDS})")
    options = parser.parse_args()
    runs = [{"parameters": n, "seed": seed} for seed in range(options.seeds) for n in NETWORKS]
    path = results.path_for(f"other_networks_{utils.pick_device().type}", options.update)
    rows = runner.run_all(path, runs, train_one, options)
    print(accuracies(rows).groupby("parameters").describe())
    if options.update:
        plot(with_ours()).savefig(results.RESULTS / "other_networks.png")


if __name__ == "__main__":
    main()
