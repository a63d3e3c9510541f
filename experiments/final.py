"""Which pieces of the recipe are worth their code? The final round on held-out images. `make final`

The protocol stands in experiments/README.md and was written before the first run. Every line is trained on 50,000
training images and judged on the 10,000 that `search.hold_out` keeps back; the test set takes no part. A row an epoch
goes to experiments/results/final.csv, accuracies in percent; `current` columns read the weights being trained, `validation`
columns their average, so "without averaging" is a second reading of the recipe's own runs.
"""

import functools
import statistics
from pathlib import Path

import utils
from experiments import runner as study
from experiments import stats as paired
from experiments.search import arguments, hold_out, muon_and_adamw, sgd

CSV = Path(__file__).resolve().parent / "results" / "final.csv"
NAMES = ("line", "seed")
FIELDS = (*NAMES, *study.TRAINING, "validation_loss", "validation_accuracy", *study.CURRENT, *study.MACHINE)

PEAKS = (0.05, 0.1, 0.2)
TUNING_SEEDS = range(100, 103)
SEEDS = range(10)


# In place of what is the default of `utils.fit` now: the recipe that the round began with, and what was left of it.
ANNEALED, EVEN = {"strength": (1.5, 0.25)}, {"strength": (0.875, 0.875)}
LINES = {
    "recipe": ANNEALED | {"optimizers": muon_and_adamw},
    "without weight decay": ANNEALED,
    "without annealing": EVEN | {"optimizers": muon_and_adamw},
    "without annealing, without weight decay": EVEN,
}
LINES |= {f"sgd {peak}": ANNEALED | {"optimizers": sgd, "lr": peak} for peak in PEAKS}
LINES |= {f"without annealing, sgd {peak}": EVEN | {"optimizers": sgd, "lr": peak} for peak in PEAKS}


def validate(pieces, seed):
    """Train with `pieces` from one seed on 50,000 images; return its rows, which look at the other 10,000."""
    training, _ = utils.load_mnist(study.ROOT / "data")
    splits = hold_out(training)
    extra = study.look_at_current(splits[1])
    return study.rows_of(study.train(splits, seed, **arguments(pieces), extra=extra), "validation")


def work(run):
    """Train one line from one seed; return its rows."""
    return validate(LINES[run["line"]], run["seed"])


def best_peak(rows):
    """Return the one of `PEAKS` whose mean accuracy over epochs 10 to 15 and the tuning seeds is highest."""

    def late(peak):
        return statistics.mean(read_line(rows, f"sgd {peak}", "validation", "accuracy", TUNING_SEEDS).values())

    return max(PEAKS, key=late)


def steps(rows):
    """Return the smaller recipes in the order in which pieces go: lines of the file. SGD has no AdamW to decay."""
    return [
        "without annealing",
        "without annealing, without weight decay",
        f"without annealing, sgd {best_peak(rows)}",
    ]


def read_line(rows, line, weights, metric, seeds=SEEDS):
    """Return `metric` of one line of the file, as `study.by_seed` reads it: seed → value."""
    own = [row for row in rows if row["line"] == line and int(row["seed"]) in seeds]
    return study.by_seed(own, weights, metric)


def readings(rows, metric):
    """Return every line's `metric` from `rows`, as `read_line` reads it: line → seed → value.

    "without Muon" is SGD at its best peak, and "without averaging" the recipe read with the weights being trained.
    """
    sources = {
        "recipe": ("recipe", "validation"),
        "without Muon": (f"sgd {best_peak(rows)}", "validation"),
        "without averaging": ("recipe", "current"),
        "without annealing": ("without annealing", "validation"),
        "without weight decay": ("without weight decay", "validation"),
    }
    return {line: read_line(rows, source, weights, metric) for line, (source, weights) in sources.items()}


def comparisons(rows):
    """Return each line's `Difference` to the recipe at the protocol's level: metric → line → difference."""
    level = paired.simultaneous(8)
    found = {}
    for metric in ("accuracy", "loss"):
        values = readings(rows, metric)
        base = values.pop("recipe")
        found[metric] = {line: paired.compare(own, base, level) for line, own in values.items()}
    return found


def confirmations(rows):
    """Return each smaller recipe's `Difference` to the recipe, at 95 %: step → metric → difference."""
    return {
        step: {
            metric: paired.compare(*(read_line(rows, line, "validation", metric) for line in (step, "recipe")))
            for metric in ("accuracy", "loss")
        }
        for step in steps(rows)
    }


def tell_steps(rows):
    """Return the confirmations as the table of experiments/README.md."""
    lines = []
    for step, found in confirmations(rows).items():
        accuracy, loss = found["accuracy"], found["loss"]
        lines.append(f"| {step} | {accuracy.tell(3)} | {loss.tell(5)} | {paired.verdict(accuracy, loss)} |")
    return "\n".join(lines)


def plot(rows):
    """Return the forest plot of the comparisons."""
    found = comparisons(rows)
    return paired.forest(
        {
            "accuracy, less the recipe's (percentage points)": found["accuracy"],
            "loss, less the recipe's (nats)": found["loss"],
        }
    )


def main():
    options = study.parser("Train the recipe without each of its pieces, on held-out images.").parse_args()
    make = functools.partial(study.study, CSV, FIELDS, NAMES, work=work, jobs=options.jobs, backend=options.backend)
    tuned = make(runs=[{"line": f"sgd {peak}", "seed": seed} for seed in TUNING_SEEDS for peak in PEAKS])
    lines = ["recipe", f"sgd {best_peak(tuned)}", "without annealing", "without weight decay"]
    rows = make(runs=[{"line": line, "seed": seed} for seed in SEEDS for line in lines])
    print(paired.tell(comparisons(rows)))
    rows = make(runs=[{"line": line, "seed": seed} for seed in SEEDS for line in steps(rows)])
    print(tell_steps(rows))
    plot(rows).savefig(CSV.with_suffix(".png"))


if __name__ == "__main__":
    main()
