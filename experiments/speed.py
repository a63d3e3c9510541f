"""How fast does it train, compared with the DataLoader baseline? `make exp-speed`

The variants of timed_run.py alternate, each repetition in a process of its own; the last repetition also times a whole
run of 15 epochs. Each figure's median, minimum, maximum and values go to results/speed.csv, the chart to
results/speed.png; rows of other devices stay. `--steps 20` is a quick look with shorter epochs that writes nothing.
"""

import argparse

import plots
import utils
from experiments import RESULTS, timing

CSV = RESULTS / "speed.csv"
VARIANTS = {  # what is run, and what tables and chart call it
    "baseline": (("baseline",), "DataLoader baseline"),
    "baseline-dropout": (("baseline", "--dropout", 0.05), "DataLoader baseline, dropout 0.05"),
    "ours": (("ours",), "this repository"),
}


def measure(variant, images, whole_run):
    """Return the figures of one repetition; `whole_run` adds `run_15_s`."""
    command = ("experiments.timed_run", *VARIANTS[variant][0])
    figures = timing.run_in_subprocess(*command, "--images", images)
    if whole_run:
        figures["run_15_s"] = timing.run_in_subprocess(*command, "--epochs", timing.RECIPE["epochs"])["run_s"]
    return figures


def medians(device, rows=None):
    """Return (variant, metric) → median on one device in speed.csv, with `step_minimum` and `step_maximum`."""
    found = {}
    for row in timing.read(CSV) if rows is None else rows:
        if row["device"] == device:
            found[row["variant"], row["metric"]] = float(row["median"])
            if row["metric"] == "step_ms":
                found[row["variant"], "step_minimum"] = float(row["minimum"])
                found[row["variant"], "step_maximum"] = float(row["maximum"])
    return found


def table(device):
    """Return the table of one device in speed.csv: medians, and the range of the training step."""
    found = medians(device)
    ours = found["ours", "step_ms"]
    lines = [
        "| | training step | of it waiting for data | epoch | evaluation | start-up | peak memory | step ÷ ours |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for variant, (_, name) in VARIANTS.items():
        own = {metric: median for (other, metric), median in found.items() if other == variant}
        step = "{step_ms:.1f} ms ({step_minimum:.1f} to {step_maximum:.1f}) | {data_ms:.1f} ms"
        others = "{epoch_s:.1f} s | {evaluate_s:.2f} s | {startup_s:.1f} s | {peak_mb:,.0f} MB"
        lines.append(f"| {name} | {step} | {others} | {own['step_ms'] / ours:.1f} |".format(**own))
    return "\n".join(lines)


def figures(device):
    """Return medians on one device as text, such as {"ours_epoch_s": "10.9"}, and ours of 15 epochs in minutes."""
    found = medians(device)
    texts = {
        f"{variant}_{metric}": f"{median:.3g}" if median < 1000 else f"{median:,.0f}"
        for (variant, metric), median in found.items()
    }
    return texts | {"ours_minutes": f"{found['ours', 'run_15_s'] / 60:.1f}"}


@plots.own_style
def plot(rows):
    """Return a bar chart of the milliseconds per step, one panel per device, with the range over the repetitions."""
    devices = list(dict.fromkeys(row["device"] for row in rows))
    figure, panels = plots.new_figure(len(devices), 1, height=2.2 * len(devices), squeeze=False)
    for axes, device in zip(panels.flat, devices, strict=True):
        found = medians(device, rows)
        for place, variant in enumerate(VARIANTS):
            names = ("step_ms", "data_ms", "step_minimum", "step_maximum")
            middle, data, low, high = (found[variant, name] for name in names)
            labels = ("waiting for data", "the rest") if place == 0 else (None, None)
            axes.barh(place, data, color=plots.ORANGE, label=labels[0])
            axes.barh(place, middle - data, left=data, color=plots.BLUE, label=labels[1])
            axes.errorbar(middle, place, xerr=[[middle - low], [high - middle]], color="black", capsize=4)
            axes.annotate(f"{middle:.1f} ms", (high, place), (8, 0), textcoords="offset points", va="center")
        title = f"{device}: median and range of three repetitions"
        axes.set(xlabel=f"milliseconds per training step of {timing.RECIPE['batch_size']} images", title=title)
        axes.set(yticks=range(len(VARIANTS)), yticklabels=[name.replace(", ", ",\n") for _, name in VARIANTS.values()])
        axes.margins(x=0.16)  # room for the numbers
        axes.invert_yaxis()
        axes.legend(loc="lower right")
    return figure


def main():
    parser = argparse.ArgumentParser(description="Time our training and the DataLoader baseline, alternating.")
    parser.add_argument("--repetitions", type=int, default=3, help="of each variant (default: 3)")
    parser.add_argument("--steps", type=int, help="steps per epoch, for a quick look (default: all 469)")
    options = parser.parse_args()
    images = options.steps * timing.RECIPE["batch_size"] if options.steps else 60_000

    def repetition(variant, number):
        return measure(variant, images, not options.steps and number == options.repetitions)

    figures = timing.interleave(VARIANTS, options.repetitions, repetition)
    rows = []
    for variant, own in figures.items():
        rows += timing.summary_rows(timing.machine_info(utils.pick_device()) | {"variant": variant}, own)
    for row in rows:
        print("{variant:<18} {metric:<14} {median:>9} ({minimum} to {maximum})".format(**row))
    if not options.steps:
        timing.replace_rows(CSV, rows)
        plot(timing.read(CSV)).savefig(CSV.with_suffix(".png"))


if __name__ == "__main__":
    main()
