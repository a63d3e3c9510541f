"""How many epochs does it need? The recipe with schedules of 3 to 30 epochs. `make exp-schedule_length`

A run is `utils.fit(epochs=N)` and nothing else changed: the learning rate goes through its whole schedule in N epochs,
with all 60,000 training images. The test set is evaluated after the last epoch, and nothing is chosen by it. One row
per run goes to results/schedule_length.csv, accuracies in percent. The runs of 15 epochs are those of seeds.csv. The
runs on a GPU are from `python -m experiments.seeds --epochs N`, in schedule_N_cuda.csv.
"""

import statistics

import plots
from experiments import RESULTS, runner, seeds, stats, timing

CSV = RESULTS / "schedule_length.csv"
KEY_COLUMNS = ("epochs", "seed")
COLUMNS = (*KEY_COLUMNS, "train_loss", "train_accuracy", "test_loss", "test_accuracy", *runner.MACHINE_COLUMNS)
SCHEDULES = {3: 10, 4: 10, 5: 10, 6: 10, 8: 10, 10: 10, 30: 5}  # epochs → seeds
GPU_SCHEDULES = (4, 5, 6)
NAMES = {"epyc": "AMD EPYC", "h100": "NVIDIA H100"}


def train_one(run):
    """Train with one schedule from one seed; return the last epoch as the only row, with the seconds of all epochs."""
    history = runner.train(runner.load_splits(), run["seed"], epochs=run["epochs"])
    (row,) = runner.history_rows(history[-1:], "test")
    del row["epoch"]
    return [row | {"seconds": f"{sum(epoch['seconds'] for epoch in history):.1f}"}]


def accuracies(rows, recipe):
    """Return epochs → seed → test accuracy after the last, in percent, from `rows` and those of seeds.csv, `recipe`."""
    found = {runner.EPOCHS: {seed: run[-1] for seed, run in seeds.accuracies(recipe).items() if seed < 10}}
    for row in rows:
        found.setdefault(int(row["epochs"]), {})[int(row["seed"])] = float(row["test_accuracy"])
    return dict(sorted(found.items()))


def machine_accuracies():
    """Return machine → epochs → seed → test accuracy after the last epoch, in percent, from the committed files."""
    gpu = {
        epochs: {seed: run[-1] for seed, run in seeds.machine_runs("h100", gpu_csv(epochs)).items()}
        for epochs in GPU_SCHEDULES
    }
    gpu[runner.EPOCHS] = {seed: run[-1] for seed, run in seeds.machine_runs("h100").items()}
    return {"epyc": accuracies(seeds.machine_rows("epyc", CSV), seeds.machine_rows("epyc")), "h100": gpu}


def gpu_csv(epochs):
    return CSV.with_name(f"schedule_{epochs}_cuda.csv")


def estimates(machine):
    """Return number of epochs → mean with its interval on one machine, as text: "99.407% (99.389 to 99.425)"."""
    found = machine_accuracies()[machine]
    return {str(epochs): stats.t_interval(list(own.values())).percent() for epochs, own in found.items()}


def recommended():
    """Return the fewest epochs for which the interval of the mean lies above 99.40% on both machines."""
    cpu, gpu = machine_accuracies().values()
    return min(
        epochs
        for epochs in cpu.keys() & gpu.keys()
        if all(stats.t_interval(list(own[epochs].values())).low > seeds.TARGET for own in (cpu, gpu))
    )


def table():
    """Return one row per schedule and machine: seeds, mean with its interval, worst seed, seeds above 99.40%."""
    lines = ["| epochs | machine | seeds | mean (95% interval) | worst | above 99.40% |", "|---|---|---|---|---|---|"]
    found, means = machine_accuracies(), {machine: estimates(machine) for machine in NAMES}
    for epochs in sorted(found["epyc"] | found["h100"]):
        for machine, name in NAMES.items():
            if values := list(found[machine].get(epochs, {}).values()):
                above = f"{sum(value > seeds.TARGET for value in values)} of {len(values)}"
                mean = means[machine][str(epochs)]
                lines.append(f"| {epochs} | {name} | {len(values)} | {mean} | {min(values):.2f}% | {above} |")
    return "\n".join(lines)


@plots.own_style
def plot(found, seconds):
    """Return a figure of `machine_accuracies`, one dot per seed, with the minutes of the CPU above.

    `seconds` is the time of one epoch there.
    """
    figure, axes = plots.new_figure(height=4.2)
    styles = {"epyc": (plots.BLUE, 1 / 1.03), "h100": (plots.GREY, 1.03)}
    for machine, own in found.items():
        colour, aside = styles[machine]
        for number, (epochs, values) in enumerate(own.items()):
            near = [epochs * aside * 1.02**x for x in seeds.spread_out(values, width=2)]
            label = f"one seed, {NAMES[machine]}" if number == 0 else None
            axes.scatter(near, sorted(values.values()), s=16, color=colour, alpha=0.55, linewidth=0, label=label)
            mean = statistics.mean(values.values())
            label = "mean" if number == 0 and machine == "epyc" else None
            axes.plot([epochs * aside / 1.025, epochs * aside * 1.025], [mean] * 2, color="black", lw=2.5, label=label)
    seeds.mark_target(axes)
    axes.set(xscale="log", xlabel="epochs in the schedule", ylabel="test accuracy after the last epoch (%)")
    schedules = sorted({epochs for own in found.values() for epochs in own})
    axes.set_xticks(schedules, schedules)
    axes.minorticks_off()
    minutes = axes.secondary_xaxis("top")
    minutes.set_xlabel("epochs × median epoch on two cores of the AMD EPYC (minutes)")
    minutes.set_xticks(schedules, [f"{epochs * seconds / 60:.1f}" for epochs in schedules])
    minutes.minorticks_off()
    axes.legend(loc="lower right")
    return figure


def epoch_seconds():
    """Return the median time of one epoch on the AMD EPYC, evaluation included, from speed.csv."""
    wanted = {"device": "cpu AMD EPYC", "variant": "ours", "metric": "epoch_s"}
    return next(float(row["median"]) for row in timing.read(RESULTS / "speed.csv") if wanted.items() <= row.items())


def main():
    options = runner.parser("Train the recipe with schedules of 3 to 30 epochs.").parse_args()
    runs = [{"epochs": epochs, "seed": seed} for epochs, n in SCHEDULES.items() for seed in range(n)]
    runner.run_all(CSV, COLUMNS, KEY_COLUMNS, runs, train_one, options.jobs, options.backend, epochs=1)
    print(table())
    print(f"fewest epochs whose interval lies above 99.40% on both machines: {recommended()}")
    plot(machine_accuracies(), epoch_seconds()).savefig(CSV.with_suffix(".png"))


if __name__ == "__main__":
    main()
