"""Do other small networks do as well under the same recipe? `make exp-other_networks`

Five networks of other authors, each with its own kind of blocks, trained by `utils.fit` with its defaults, on any
device. Their authors' dropout is left out, as in our recipe. results/other_networks_cpu.csv and _cuda.csv have one row
per epoch, accuracies in percent; results/other_networks.png shows the GPU's runs and ours on the same GPU.
"""

from typing import NamedTuple

from torch import nn

import plots
import utils
from experiments import RESULTS, runner, seeds, stats

KEY_COLUMNS = ("parameters", "seed")
COLUMNS = (*KEY_COLUMNS, "epoch", "test_accuracy", "device", "torch")
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


def csv_of(kind):
    """Return the file for runs on a kind of device: "cpu", "cuda"."""
    return RESULTS / f"other_networks_{kind}.csv"


def train_one(run):
    """Train one network from one seed; return its rows."""
    make = NETWORKS[run["parameters"]].make
    history = runner.train(runner.load_splits(), run["seed"], make_model=make)
    rows = runner.history_rows(history, "test")
    return [{name: row[name] for name in COLUMNS if name not in KEY_COLUMNS} for row in rows]


def accuracies(kind):
    """Return number of parameters → seed → test accuracy after epoch 15, in percent, on any CPU or on the H100."""
    rows, found = seeds.machine_rows("h100", csv_of(kind)) if kind == "cuda" else runner.read(csv_of(kind)), {}
    for row in rows:
        if int(row["epoch"]) == runner.EPOCHS:
            found.setdefault(int(row["parameters"]), {})[int(row["seed"])] = float(row["test_accuracy"])
    return dict(sorted(found.items()))


def with_ours():
    """Return `accuracies` on the GPU, with those of our network on the same GPU."""
    ours = {seed: run[-1] for seed, run in seeds.machine_runs("h100").items()}
    return dict(sorted((accuracies("cuda") | {OURS: ours}).items()))


def table():
    """Return one row per network: parameters, seeds, mean with its interval, worst seed, its author's figure."""
    lines = [
        "| parameters | seeds | mean after epoch 15 (95% interval) | worst seed | its author's figure, from one run |",
        "|---|---|---|---|---|",
    ]
    for parameters, own in with_ours().items():
        found = stats.t_interval(list(own.values()))
        if parameters == OURS:
            name, author = "**6,456**, this repository", f"{ASSIGNMENT:.2f}%, epoch 7, the best"
        else:
            network = NETWORKS[parameters]
            name, author = f"[{parameters:,}]({network.source})", f"{network.accuracy:.2f}%, {network.reached}"
        lines.append(f"| {name} | {len(own)} | {found.percent()} | {min(own.values()):.2f}% | {author} |")
    return "\n".join(lines)


def differences():
    """Return number of parameters → its difference in mean from ours on the GPU, all seeds of both, as text.

    For the networks of 6,000 parameters or more, whose intervals are simultaneous at 95%.
    """
    found = with_ours()
    large = [parameters for parameters in NETWORKS if parameters > 6000]
    level = stats.bonferroni_level(len(large))
    ours = list(found[OURS].values())
    return {str(n): stats.compare_means(list(found[n].values()), ours, level).format(3) for n in large}


def check():
    """Return the mean difference of the runs on a CPU from the same seeds on the GPU, with its interval, as text."""
    cpu, gpu = (
        {(n, seed): accuracy for n, own in accuracies(kind).items() for seed, accuracy in own.items()}
        for kind in ("cpu", "cuda")
    )
    return stats.compare(cpu, gpu).format(3)


def check_table():
    """Return the runs on a CPU beside the same seeds on the GPU."""
    lines = ["| parameters | seed | epoch 15 on a CPU | epoch 15 on the GPU |", "|---|---|---|---|"]
    gpu = accuracies("cuda")
    for parameters, own in accuracies("cpu").items():
        for seed in sorted(own.keys() & gpu[parameters].keys()):
            lines.append(f"| {parameters:,} | {seed} | {own[seed]:.2f}% | {gpu[parameters][seed]:.2f}% |")
    return "\n".join(lines)


@plots.own_style
def plot(found):
    """Return a figure of `with_ours`: every seed a dot, means with intervals, and each author's figure, hollow."""
    figure, axes = plots.new_figure(height=4.4)
    for number, (parameters, own) in enumerate(found.items()):
        ours, values = parameters == OURS, sorted(own.values())
        colour, estimate = plots.ORANGE if ours else plots.BLUE, stats.t_interval(values)
        dots = seeds.spread_out(values, parameters, 240 if ours else 120)
        axes.scatter(dots, values, s=14, color=colour, alpha=0.45, linewidth=0)
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
    names = {n: f"\n{n:,}\n(this repository)" if n == OURS else f"{n:,}" for n in found}
    axes.set_xticks(list(names), list(names.values()))
    axes.legend(loc="lower right", fontsize=8)
    return figure


def main():
    parser = runner.parser("Train five other small networks with our recipe.")
    parser.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help=f"seeds 0 to N-1 (default: {SEEDS})")
    options = parser.parse_args()
    runs = [{"parameters": n, "seed": seed} for seed in range(options.seeds) for n in NETWORKS]
    path = csv_of(utils.pick_device().type)
    runner.run_all(path, COLUMNS, KEY_COLUMNS, runs, train_one, options.jobs, options.backend)
    print(check_table() if utils.pick_device().type == "cpu" else table())
    plot(with_ours()).savefig(RESULTS / "other_networks.png")


if __name__ == "__main__":
    main()
