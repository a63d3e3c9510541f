"""Which recipe? Chosen on training images alone, and every candidate kept. `make search`

Holds 10,000 of the 60,000 training images out, stratified, and trains every candidate on the other 50,000: 15 epochs a
run, the same seeds for all. What the held-out images say decides: the mean accuracy over epochs 10 to 15, which are the
epochs that the promise is about. All are tried from seed 0, and those in front from more seeds. The test set takes no
part. A row an epoch goes to experiments/results/search.csv, accuracies in percent.
"""

import functools
import statistics
from pathlib import Path

import torch

import utils
from experiments import runner as study

CSV = Path(__file__).resolve().parent / "results" / "search.csv"
NAMES = ("candidate", "seed")
FIELDS = (*NAMES, *study.TRAINING, "validation_loss", "validation_accuracy", *study.MACHINE)


def sgd(model, lr):
    """Return Nesterov SGD on all parameters, the usual optimizer."""
    return [torch.optim.SGD(model.parameters(), lr, 0.9, nesterov=True, weight_decay=1e-4, fused=True)]


class Decay(torch.optim.Optimizer):
    """Multiply `weights` by 1 - lr · `decay` at each step, and do nothing else: decoupled weight decay for Muon."""

    def __init__(self, weights, lr, decay):
        super().__init__(weights, {"lr": lr, "decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                weight.mul_(1 - group["lr"] * group["decay"])


def muon_and_adamw(model, lr):
    """Return the recipe's optimizers of then: those of now, with AdamW's decoupled weight decay of 0.05."""
    muon, adam = utils.muon_and_adam(model, lr)
    return [muon, torch.optim.AdamW(adam.param_groups[0]["params"], lr / 15, weight_decay=0.05, fused=True)]


def muon_with_decay(model, lr):
    """Return the usual pair, and decay of 0.05 for Muon's weights."""
    muon, adamw = muon_and_adamw(model, lr)
    return [Decay(muon.param_groups[0]["params"], lr, 0.05), muon, adamw]


def square_fall(steps, warmup=0.1):
    """Return shares of the peak as `utils.one_cycle` does, but fall faster at first: a square, not a cosine."""
    progress = (torch.arange(steps) + 1) / steps
    return torch.where(progress < warmup, progress / warmup, ((1 - progress) / (1 - warmup)).square())


class Annealed:
    """Augmentation for one run of 15 epochs, whose strength goes evenly from `first` to `last` over them.

    A strength multiplies all limits of `utils.random_affines`, which are 10°, 8 %, 10 % and 8°, or those in `limits`.
    `utils.fit` calls it once to try it, and then once an epoch.
    """

    def __init__(self, first, last, **limits):
        self.first, self.last, self.calls = first, last, 0
        self.limits = {"degrees": 10, "shift": 0.08, "scale": 0.1, "shear": 8} | limits

    def __call__(self, n, generator=None):
        epoch = max(1, self.calls)
        strength = self.first + (self.last - self.first) * (epoch - 1) / (study.EPOCHS - 1)
        self.calls += 1
        return utils.random_affines(n, *(strength * limit for limit in self.limits.values()), generator)


def arguments(pieces):
    """Return `pieces` as arguments of `study.train`: "strength" and "limits", if given, as an `Annealed` of its own."""
    pieces = dict(pieces)
    strength, limits = pieces.pop("strength", None), pieces.pop("limits", {})
    return pieces | ({"augment": Annealed(*strength, **limits)} if strength else {})


short_warmup = functools.partial(utils.one_cycle, warmup=0.1)

# What each candidate has in place of BASE's pieces. "Annealed" goes from one strength of the augmentation to another.
BASE = {
    "optimizers": muon_and_adamw,
    "lr": 0.15,
    "schedule": functools.partial(utils.one_cycle, warmup=0.25),
    "averaging": 0.998,
    "strength": (1, 1),
}
FRONT = {"schedule": short_warmup, "strength": (1.5, 0.25)}  # what led, and was varied last
CANDIDATES = {
    "muon 0.15": {},
    "muon 0.15, square fall": {"schedule": square_fall},
    "muon 0.15, warm-up over 10 %": {"schedule": short_warmup},
    "muon 0.15, annealed from 1.3 to 0.5": {"strength": (1.3, 0.5)},
    "muon 0.15, annealed from 1.5 to 0.25": {"strength": (1.5, 0.25)},
    "muon 0.15, annealed from 2 to 0": {"strength": (2, 0)},
    "muon 0.15, warm-up over 10 %, annealed from 1.5 to 0.25": FRONT,
    "muon 0.15, warm-up over 10 %, annealed from 1.5 to 0.25, shift 4 %": FRONT | {"limits": {"shift": 0.04}},
    "muon 0.15, warm-up over 10 %, annealed from 1.5 to 0.25, dropout 0.02": FRONT | {"dropout": 0.02},
    "muon 0.15, warm-up over 10 %, annealed from 1.5 to 0.25, averaging 0.999": FRONT | {"averaging": 0.999},
    "muon 0.15, square fall, annealed from 1.5 to 0.25": {"schedule": square_fall, "strength": (1.5, 0.25)},
    "muon 0.15, warm-up over 10 %, annealed from 1.5 to 0.5": {"schedule": short_warmup, "strength": (1.5, 0.5)},
    "muon 0.1, warm-up over 10 %, annealed from 1.5 to 0.25": FRONT | {"lr": 0.1},
    "muon 0.15, decay 0.05, annealed from 1.5 to 0.25": {"optimizers": muon_with_decay, "strength": (1.5, 0.25)},
    "muon 0.3, annealed from 1.5 to 0.25": {"lr": 0.3, "strength": (1.5, 0.25)},
    "sgd 0.1, annealed from 1.5 to 0.25": {"optimizers": sgd, "lr": 0.1, "strength": (1.5, 0.25)},
}


def hold_out(split, share=6, seed=0):
    """Return `split` without one image in `share`, and those images: as many of each class as it has of it."""
    order = torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(seed))
    by_class = order[split.labels.cpu()[order].argsort(stable=True)]
    held = torch.zeros(len(order), dtype=torch.bool)
    held[by_class[::share]] = True
    return utils.Split(*(part[~held] for part in split)), utils.Split(*(part[held] for part in split))


def work(run):
    """Train one candidate from one seed; return its rows."""
    training, _ = utils.load_mnist(study.ROOT / "data")
    history = study.train(hold_out(training), run["seed"], **arguments(BASE | CANDIDATES[run["candidate"]]))
    return study.rows_of(history, "validation")


def compare(rows):
    """Return a dictionary a candidate, the best first: its seeds, and its held-out figures as means over them.

    `late` is the mean accuracy over epochs 10 to 15, those that the promise is about, and decides who is best.
    """
    runs = {}
    for row in rows:
        runs.setdefault(row["candidate"], []).append(row)

    def mean(own, column, epochs):
        return statistics.mean(float(row[f"validation_{column}"]) for row in own if int(row["epoch"]) in epochs)

    table = [
        {
            "candidate": name,
            "seeds": len({row["seed"] for row in own}),
            "late": mean(own, "accuracy", range(10, 16)),
            "accuracy_10": mean(own, "accuracy", [10]),
            "accuracy_15": mean(own, "accuracy", [15]),
            "loss_15": mean(own, "loss", [15]),
        }
        for name, own in runs.items()
    ]
    return sorted(table, key=lambda line: line["late"], reverse=True)


def tell(table):
    """Return `table`, from `compare`, as lines of text."""
    title = f"{'held-out images':<73}{'seeds':>6}{'epochs 10-15':>14}{'epoch 10':>10}{'epoch 15':>10}{'loss':>9}"
    line = "{candidate:<73}{seeds:>6}{late:>13.3f}%{accuracy_10:>9.3f}%{accuracy_15:>9.3f}%{loss_15:>9.5f}"
    return "\n".join([title, *(line.format(**row) for row in table)])


def main():
    parser = study.parser("Train candidate recipes on 50,000 images, judge them on 10,000.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="seeds of each candidate (default: 0)")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=list(CANDIDATES), metavar="NAME")
    options = parser.parse_args()
    runs = [{"candidate": name, "seed": seed} for seed in options.seeds for name in options.candidates]
    print(tell(compare(study.study(CSV, FIELDS, NAMES, runs, work, options.jobs, options.backend))))


if __name__ == "__main__":
    main()
