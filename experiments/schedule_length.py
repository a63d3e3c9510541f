"""How many epochs does it need? The recipe with schedules of 3 to 30 epochs.

A run is `utils.fit(epochs=N)` and nothing else changed: the learning rate goes through its whole schedule in N epochs,
with all 60,000 training images. The test set is evaluated after the last epoch, and nothing is chosen by it.
`make exp-seeds ARGS="--epochs N"` trains the schedule of N epochs. schedule_length.csv has the last epochs of the runs
on the EPYC, accuracies in percent; its 15 epochs are in seeds.csv, the GPU's runs in schedule_N_cuda.csv, and the
Xeon's in exercises.csv.
"""

import pandas as pd

from experiments import exercises, results, seeds, stats

SCHEDULES = {3: 10, 4: 10, 5: 10, 6: 10, 8: 10, 10: 10, 30: 5}  # epochs → seeds
GPU_SCHEDULES = (4, 5, 6)
NAMES = {"epyc": "AMD EPYC", "xeon": "Intel Xeon", "h100": "NVIDIA H100"}


def committed_runs():
    """Return the test accuracies after the last epoch, in percent: a Series by machine, epochs and seed."""
    cpu = results.read("schedule_length").set_index(["epochs", "seed"])["test_accuracy"]
    runs = {
        "epyc": {n: cpu[n] for n in SCHEDULES} | {15: seeds.machine_runs("epyc").loc[:9, 15]},
        "h100": {n: seeds.accuracies(results.read(f"schedule_{n}_cuda"))[n] for n in GPU_SCHEDULES},
        "xeon": {exercises.EPOCHS: exercises.accuracies(results.read("exercises"))["the recipe"]},
    }
    runs["h100"][15] = seeds.machine_runs("h100")[15]
    return pd.concat({machine: pd.concat(own) for machine, own in runs.items()}, names=["machine", "epochs", "seed"])


def means(machine):
    """Return number of epochs → mean with its interval on one machine, as text: "99.407% (99.389 to 99.425)"."""
    return {str(n): stats.t_interval(run).percent() for n, run in committed_runs()[machine].groupby("epochs")}


def recommended():
    """Return the fewest epochs for which the interval of the mean lies above 99.40% on the EPYC and on the H100."""
    runs = committed_runs()[["epyc", "h100"]]
    lows = runs.groupby(["epochs", "machine"]).agg(lambda run: stats.t_interval(run).low).unstack().dropna()
    return lows.index[(lows > seeds.TARGET).all(axis=1)].min()


def table():
    """Return one row per schedule and machine: seeds, mean with its interval, worst seed, seeds above 99.40%."""
    rows = []
    for (epochs, machine), run in committed_runs().groupby(["epochs", "machine"]):
        above, mean = f"{(run > seeds.TARGET).sum()} of {len(run)}", stats.t_interval(run).percent()
        rows.append((epochs, NAMES[machine], len(run), mean, f"{run.min():.2f}%", above))
    return stats.markdown(("epochs", "machine", "seeds", "mean (95% interval)", "worst", "above 99.40%"), rows)
