"""How strong is the augmentation to be? Its one number, chosen on held-out images. `make strength`

The protocol stands in experiments/README.md and was written before the first run. A strength multiplies the limits
10°, 8 %, 10 % and 8° of rotation, shift, scale and shear. Every strength is trained as in final.py, whose second
smaller recipe is the line of 0.875. A row an epoch goes to experiments/results/strength.csv, accuracies in percent.
"""

import statistics
from pathlib import Path

from experiments import final
from experiments import runner as study
from experiments import stats as paired

CSV = Path(__file__).resolve().parent / "results" / "strength.csv"
SEEN_CSV = CSV.with_name("strength_seeds.csv")  # rows of seeds.py at the strength of before, on the test set
STRENGTHS = (0.5, 0.875, 1.25)
BEFORE = 0.875  # that of final.py


def work(run):
    """Train at one strength, "strength 0.5" say, from one seed; return its rows."""
    strength = float(run["line"].split()[1])
    return final.validate({"strength": (strength, strength)}, run["seed"])


def readings(rows, before, metric):
    """Return `metric` of every strength from `rows` and those of final.csv, `before`: strength → seed → value."""
    sources = {strength: (rows, f"strength {strength}") for strength in STRENGTHS}
    sources[BEFORE] = before, "without annealing, without weight decay"
    return {strength: final.read_line(*source, "validation", metric) for strength, source in sources.items()}


def best(rows, before):
    """Return the strength whose mean accuracy over epochs 10 to 15 and all seeds is highest."""
    found = readings(rows, before, "accuracy")
    return max(found, key=lambda strength: statistics.mean(found[strength].values()))


def tell(rows, before):
    """Return the table of experiments/README.md: each strength's means, and the differences to that of before."""
    level = paired.simultaneous(2 * (len(STRENGTHS) - 1))
    accuracies, losses = (readings(rows, before, metric) for metric in ("accuracy", "loss"))
    lines = []
    for strength in STRENGTHS:
        accuracy, loss = (paired.compare(own[strength], own[BEFORE], level) for own in (accuracies, losses))
        versus = ("", "", "")
        if strength != BEFORE:
            versus = (accuracy.tell(3), loss.tell(5), paired.verdict(accuracy, loss))
        means = (statistics.mean(own[strength].values()) for own in (accuracies, losses))
        line = "| {} | {:.3f} % | {} | {:.5f} | {} | {} |"
        lines.append(line.format(strength, next(means), versus[0], next(means), *versus[1:]))
    return "\n".join(lines)


def main():
    options = study.parser("Train at other strengths of the augmentation, on held-out images.").parse_args()
    runs = [{"line": f"strength {s}", "seed": seed} for seed in final.SEEDS for s in STRENGTHS if s != BEFORE]
    rows = study.study(CSV, final.FIELDS, final.NAMES, runs, work, options.jobs, options.backend)
    before = study.read(final.CSV)
    print(tell(rows, before))
    print(f"the highest mean accuracy has the strength {best(rows, before)}")


if __name__ == "__main__":
    main()
