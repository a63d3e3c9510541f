"""How fast does this network train, against the DataLoader baseline, the way in which most code does it? `make bench`

Three variants train the same network on the same images in turns (A B C A B C …), each turn in a process of its own:

    baseline            the DataLoader baseline of baseline.py, without dropout, as ours
    baseline-reference  the same with the dropout of 0.05 that the reference has
    ours                `utils.fit`, by ours.py

A turn is start-up (imports, data ready), one epoch, evaluation of the 10,000 test images, and single images one by one.
Each figure's median, minimum and maximum over the turns go to experiments/results/speed.csv, a row a figure, and the chart to
experiments/results/speed.png; rows of other devices stay. `--steps 20` gives a look in a minute or two: shorter epochs, and
nothing is written.
"""

import argparse
from pathlib import Path

import utils
from experiments import runner as study
from experiments import timing as bench

HERE = Path(__file__).resolve().parent
CSV, CHART = HERE / "results" / "speed.csv", HERE / "results" / "speed.png"
FIELDS = ("date", "device", "cores", "torch", "variant", "metric", "median", "minimum", "maximum", "turns")

# What each variant's turn runs, and what the chart calls it.
TURNS = {
    "baseline": ("experiments.baseline", "--dropout", 0),
    "baseline-reference": ("experiments.baseline", "--dropout", 0.05),
    "ours": ("experiments.ours",),
}
LABELS = {
    "baseline": "DataLoader baseline,\nno dropout",
    "baseline-reference": "DataLoader baseline,\ndropout 0.05",
    "ours": "this repository",
}


def summarise(turns):
    """Return the rows of the CSV from the figures of all turns, a dictionary from variant to a list of turns."""
    rows = []
    for variant, figures in turns.items():
        columns = bench.about(device=figures[0]["device"]) | {"variant": variant}
        rows += bench.spreads(columns, [{key: turn[key] for key in turn if key != "device"} for turn in figures])
    return rows


def print_table(turns, rows):
    """Print the medians of `rows`, a line a metric, and how many times slower than ours the others are."""
    print(f"\n{'metric':<14}" + "".join(f"{variant:>20}" for variant in turns))
    for metric in dict.fromkeys(row["metric"] for row in rows):
        values = {row["variant"]: row["median"] for row in rows if row["metric"] == metric}
        print(f"{metric:<14}" + "".join(f"{values.get(variant, ''):>20}" for variant in turns))
    for metric in ("step_ms", "epoch_s"):
        for variant, values in bench.ratios(turns, metric, "ours").items():
            if variant != "ours":
                ratio = "{median} × ({minimum} to {maximum})".format(**bench.spread(values, digits=3))
                print(f"{metric} of {variant} against ours, turn by turn: {ratio}")


def write_csv(rows):
    """Write `rows` to experiments/results/speed.csv, in place of the rows of the same device only."""
    others = [row for row in study.read(CSV) if row["device"] != rows[0]["device"]] if CSV.exists() else []
    bench.write_rows(CSV, others + rows)


def plot(rows):
    """Return a bar chart of the milliseconds a step, one panel a device, with the spread over the turns."""
    devices = list(dict.fromkeys(row["device"] for row in rows))
    figure, panels = utils.canvas(len(devices), 1, height=2.4 * len(devices), squeeze=False)
    for axes, device in zip(panels.flat, devices, strict=True):
        figures = {(row["variant"], row["metric"]): row for row in rows if row["device"] == device}
        for place, variant in enumerate(TURNS):
            step, data = figures[variant, "step_ms"], figures[variant, "data_ms"]
            middle, low, high = (float(step[key]) for key in ("median", "minimum", "maximum"))
            waiting = float(data["median"])
            axes.barh(place, waiting, color=utils.ORANGE, label="data" if place == 0 else None)
            axes.barh(place, middle - waiting, left=waiting, color=utils.BLUE, label="compute" if place == 0 else None)
            axes.errorbar(middle, place, xerr=[[middle - low], [high - middle]], color="black", capsize=4)
            axes.annotate(f"{middle:.1f} ms", (high, place), (8, 0), textcoords="offset points", va="center")
        title = f"{device}, {step['cores']} cores: median of {step['turns']} turns, and their range"
        axes.set(xlabel=f"milliseconds per training step of {bench.RECIPE['batch_size']} images", title=title)
        axes.set(yticks=range(len(TURNS)), yticklabels=[LABELS[variant] for variant in TURNS])
        axes.margins(x=0.16)  # room for the figures
        axes.invert_yaxis()
        axes.legend(loc="lower right")
    return figure


def main():
    parser = argparse.ArgumentParser(description="Time our training against the DataLoader baseline, in turns.")
    parser.add_argument("--turns", type=int, default=3, help="turns of each variant (default: 3)")
    parser.add_argument("--steps", type=int, default=0, help="steps an epoch, for a quick look (default: all 469)")
    options = parser.parse_args()
    images = options.steps * bench.RECIPE["batch_size"] or 60_000

    def command(variant, number):
        # A whole run takes long on a CPU, so only the last turn of ours makes one.
        whole_run = not options.steps and variant == "ours" and number == options.turns
        return *TURNS[variant], "--images", images, *["--whole-run"] * whole_run

    turns = bench.take_turns(TURNS, options.turns, command)
    rows = summarise(turns)
    print_table(turns, rows)
    if not options.steps:
        write_csv(rows)
        plot(study.read(CSV)).savefig(CHART)
        print(f"\nWritten: {CSV.relative_to(study.ROOT)} and {CHART.relative_to(study.ROOT)}")


if __name__ == "__main__":
    main()
