"""How many epochs does it need? The recipe with schedules of 3 to 30 epochs. `make exp-schedule_length`

A run is `utils.fit(epochs=N)` and nothing else changed: the learning rate goes through its whole schedule in N epochs,
with all 60,000 training images. The test set is evaluated after the last epoch, and nothing is chosen by it. One row
per run goes to schedule_length.csv, accuracies in percent. The runs of 15 epochs are those of seeds.csv. The runs on a
GPU are from `python -m experiments.seeds --epochs N`, in schedule_N_cuda.csv.
"""

import pandas as pd

import plots
from experiments import results, runner, seeds, stats

SCHEDULES = {3: 10, 4: 10, 5: 10, 6: 10, 8: 10, 10: 10, 30: 5}  # epochs → seeds
GPU_SCHEDULES = (4, 5, 6)
NAMES = {"epyc": "AMD EPYC", "h100": "NVIDIA H100"}


def train_one(run):
    """Train with one schedule from one seed; return the last epoch as the only row, with the seconds of all epochs."""
    history = runner.train(runner.load_splits(), run["seed"], epochs=run["epochs"])
    last = history[-1] | {"seconds": sum(epoch["seconds"] for epoch in history)}
    del last["epoch"]
    return runner.as_rows(run, [last])


def committed_runs():
    """Return the test accuracies after the last epoch, in percent: a Series by machine, epochs and seed."""
    gpu = {n: seeds.machine_runs("h100", f"schedule_{n}_cuda")[n] for n in GPU_SCHEDULES}
    fifteen = {machine: seeds.machine_runs(machine)[15] for machine in NAMES}
    cpu = seeds.machine_rows("epyc", "schedule_length").set_index(["epochs", "seed"])["test_accuracy"]
    cpu = {n: cpu[n] for n in SCHEDULES} | {15: fifteen["epyc"].loc[:9]}
    runs = {"epyc": cpu, "h100": gpu | {15: fifteen["h100"]}}
    return pd.concat({machine: pd.concat(own) for machine, own in runs.items()}, names=["machine", "epochs", "seed"])


def estimates(machine):
    """Return number of epochs → mean with its interval on one machine, as text: "99.407% (99.389 to 99.425)"."""
    return {str(n): stats.t_interval(run).percent() for n, run in committed_runs()[machine].groupby("epochs")}


def recommended():
    """Return the fewest epochs for which the interval of the mean lies above 99.40% on both machines."""
    lows = committed_runs().groupby(["epochs", "machine"]).agg(lambda run: stats.t_interval(run).low).unstack().dropna()
    return lows.index[(lows > seeds.TARGET).all(axis=1)].min()


def table():
    """Return one row per schedule and machine: seeds, mean with its interval, worst seed, seeds above 99.40%."""
    rows = []
    for (epochs, machine), run in committed_runs().groupby(["epochs", "machine"]):
        above = f"{(run > seeds.TARGET).sum()} of {len(run)}"
        mean = stats.t_interval(run).percent()
        rows.append((epochs, NAMES[machine], len(run), mean, f"{run.min():.2f}%", above))
    return stats.markdown(("epochs", "machine", "seeds", "mean (95% interval)", "worst", "above 99.40%"), rows)


@plots.default_style
def plot(runs, seconds):
    """Return a figure of `committed_runs`, one dot per seed, with the minutes of the CPU above.

    `seconds` is the time of one epoch there.
    """
    figure, axes = plots.new_figure(height=4.2)
    styles = {"epyc": (plots.BLUE, 1 / 1.03), "h100": (plots.GREY, 1.03)}
    for machine, (colour, aside) in styles.items():
        for number, (epochs, run) in enumerate(runs[machine].groupby("epochs")):
            near = epochs * aside * 1.02 ** seeds.spread_out(len(run), width=2)
            label = f"one seed, {NAMES[machine]}" if number == 0 else None
            axes.scatter(near, run.sort_values(), s=16, color=colour, alpha=0.55, linewidth=0, label=label)
            label = "mean" if number == 0 and machine == "epyc" else None
            ends = [epochs * aside / 1.025, epochs * aside * 1.025]
            axes.plot(ends, [run.mean()] * 2, color="black", linewidth=2.5, label=label)
    seeds.mark_target(axes)
    axes.set(xscale="log", xlabel="epochs in the schedule", ylabel="test accuracy after the last epoch (%)")
    schedules = runs.index.unique("epochs").sort_values()
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
    speed = results.read("speed").set_index(["device", "variant", "metric"])
    return speed.loc[("cpu AMD EPYC", "ours", "epoch_s"), "median"]


def main():
    options = runner.parser("Train the recipe with schedules of 3 to 30 epochs.").parse_args()
    runs = [{"epochs": epochs, "seed": seed} for epochs, n in SCHEDULES.items() for seed in range(n)]
    path = results.path_for("schedule_length", options.update)
    rows = runner.run_all(path, runs, train_one, options, epochs=1)
    print(rows.groupby("epochs")["test_accuracy"].describe())
    if options.update:
        plot(committed_runs(), epoch_seconds()).savefig(path.with_suffix(".png"))


if __name__ == "__main__":
    main()
