"""What is each piece of the recipe worth? `make ablation`

The protocol stands in experiments/README.md and was written before the first run. It starts from SGD at a constant
learning rate and changes one thing a line until it is the recipe of `utils.fit`. The constant rate is chosen on
held-out training images (experiments/results/buildup_rates.csv); the lines are trained on all 60,000 and looked at on the test set
(experiments/results/buildup.csv). A row is an epoch, accuracies in percent; `current` columns read the weights being trained,
the others their average, so "averaged weights" is a second reading of the line before. The recipe's runs are those of
seeds.csv.
"""

import functools
import statistics
from pathlib import Path

import torch

import utils
from experiments import final, seeds
from experiments import runner as study
from experiments import stats as paired

CSV = Path(__file__).resolve().parent / "results" / "buildup.csv"
RATES_CSV = CSV.with_name("buildup_rates.csv")
NAMES = ("line", "seed")
FIELDS = (*NAMES, *study.TRAINING, "test_loss", "test_accuracy", *study.CURRENT, *study.MACHINE)

RATES = (0.005, 0.015, 0.05)

# A line of the table: which training, and with which weights it is read. Each is compared with the one above.
LINES = {
    "SGD at a constant rate": ("constant", "current"),
    "+ one-cycle schedule, that rate its peak": ("scheduled", "current"),
    "+ a peak three times as high": ("higher", "current"),
    "+ augmentation": ("augmented", "current"),
    "+ averaged weights": ("augmented", "test"),
    "+ Muon and Adam = the recipe": ("recipe", "test"),
}


def sgd(model, lr):
    """Return Nesterov SGD on all parameters, without weight decay, as the recipe has none."""
    return [torch.optim.SGD(model.parameters(), lr, 0.9, nesterov=True, fused=True)]


def constant(steps):
    """Return a share of 1 for every step, float32 [steps]."""
    return torch.ones(steps)


def trainings(rate):
    """Return what each training has in place of the recipe's pieces, `rate` being the constant one: name → pieces."""
    plain = {"optimizers": sgd, "augment": utils.no_affines}
    return {
        "constant": plain | {"lr": rate, "schedule": constant},
        "scheduled": plain | {"lr": rate},
        "higher": plain | {"lr": 3 * rate},
        "augmented": {"optimizers": sgd, "lr": 3 * rate},
    }


def tune(run):
    """Train at one of `RATES`, "constant 0.005" say, from one seed on 50,000 images; return its rows."""
    return final.validate(trainings(float(run["line"].split()[1]))["constant"], run["seed"])


def work(run, rate):
    """Make one training from one seed; return its rows."""
    splits = utils.load_mnist(study.ROOT / "data")
    extra = study.look_at_current(splits[1])
    return study.rows_of(study.train(splits, run["seed"], **trainings(rate)[run["line"]], extra=extra), "test")


def best_rate(rows):
    """Return the one of `RATES` whose mean accuracy over epochs 10 to 15 and the tuning seeds is highest."""

    def late(rate):
        found = final.read_line(rows, f"constant {rate}", "current", "accuracy", final.TUNING_SEEDS)
        return statistics.mean(found.values())

    return max(RATES, key=late)


def readings(rows, recipe, metric):
    """Return `metric` of every line from `rows` and those of seeds.csv, `recipe`: line → seed → value."""
    rows = rows + [row | {"line": "recipe"} for row in recipe]
    return {line: final.read_line(rows, name, weights, metric) for line, (name, weights) in LINES.items()}


def comparisons(rows, recipe):
    """Return each line's `Difference` to the one above: metric → line → difference, all simultaneous at 95 %."""
    level = paired.simultaneous(2 * (len(LINES) - 1))
    found = {}
    for metric in ("accuracy", "loss"):
        values = readings(rows, recipe, metric)
        steps = zip(list(values)[1:], values.values(), strict=False)
        found[metric] = {line: paired.compare(values[line], above, level) for line, above in steps}
    return found


def plot(found):
    """Return the forest plot of the comparisons."""
    return paired.forest(
        {
            "accuracy less that above (percentage points)": found["accuracy"],
            "loss less that above (nats)": found["loss"],
        }
    )


def main():
    options = study.parser("Go from plain SGD to the recipe, one change at a time.").parse_args()
    make = functools.partial(study.study, names=NAMES, jobs=options.jobs, backend=options.backend)
    tuning = [{"line": f"constant {rate}", "seed": seed} for seed in final.TUNING_SEEDS for rate in RATES]
    rate = best_rate(make(RATES_CSV, final.FIELDS, runs=tuning, work=tune))
    print(f"the best constant rate is {rate}")
    runs = [{"line": line, "seed": seed} for seed in final.SEEDS for line in trainings(rate)]
    found = comparisons(make(CSV, FIELDS, runs=runs, work=functools.partial(work, rate=rate)), study.read(seeds.CSV))
    print(paired.tell(found))
    plot(found).savefig(CSV.with_suffix(".png"))


if __name__ == "__main__":
    main()
