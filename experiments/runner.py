"""Train many times, several runs in parallel, and write each run to a CSV file as soon as it is complete.

A run is identified by a dictionary such as `{"seed": 3}`, and has one row per epoch. Complete runs in the file are not
repeated, so an interrupted study resumes. joblib's backend decides where runs take place: in processes of this machine,
or on a Ray cluster.
"""

import pandas as pd
import torch

import utils
from experiments import results
from model import Net

EPOCHS = 15


def train(run, make_model=Net, measure=None, **recipe):
    """Train a new model from `run["seed"]` on MNIST with `utils.fit`; return one row per epoch, a dictionary of text.

    A row has `run`, what `fit` records, with accuracies in percent, and the machine; `measure(state, test)`, if given,
    returns more columns. Two runs in parallel, each on one thread, take less time than one after the other on two.
    """
    torch.set_num_threads(1)
    splits = utils.load_mnist(results.ROOT / "data", utils.pick_device())
    if measure:
        recipe["extra_metrics"] = lambda state: measure(state, splits[1])
    utils.set_seed(run["seed"])
    history = utils.fit(make_model(), *splits, seed=run["seed"], verbose=False, **recipe)
    machine = results.machine_columns()
    return [{name: as_text(name, value) for name, value in (run | epoch).items()} | machine for epoch in history]


def as_text(name, value):
    """Return the `value` of the column `name` as text; an accuracy, which is a fraction, in percent."""
    if name.endswith("accuracy"):
        return f"{100 * value:.{3 if name.startswith('train') else 2}f}"
    return f"{value:.5f}" if name.endswith("loss") else f"{value:.1f}" if name == "seconds" else str(value)


def parser(description, seeds):
    """Return a parser with the options of a study that trains from that number of seeds, if not told otherwise."""
    options = results.parser(description)
    options.add_argument("--seeds", type=int, default=seeds, metavar="N", help=f"seeds 0 to N-1 (default: {seeds})")
    options.add_argument("--jobs", type=int, default=-1, help="runs in parallel (default: one per core)")
    options.add_argument("--backend", default="loky", help="joblib's; `ray` for a cluster needs `pip install ray`")
    return options


def run_all(path, runs, train_one, options, epochs=EPOCHS):
    """Call `train_one(run)` for each of `runs` that `path` does not hold yet; return all rows that it then holds.

    `train_one` returns the rows of a run, `epochs` of them. `options` are those of `parser`.
    """
    import joblib  # not needed to read results, as the notebook does

    key, rows = list(runs[0]), pd.DataFrame(columns=list(runs[0]))
    if path.exists():
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
        rows = rows.groupby(key).filter(lambda run: len(run) == epochs)
    done = set(rows[key].itertuples(index=False, name=None))
    runs = [run for run in runs if tuple(map(str, run.values())) not in done]
    print(f"{path.name}: {len(done)} runs done, {len(runs)} to do", flush=True)
    if options.backend == "ray":
        from ray.util.joblib import register_ray

        register_ray()
    with joblib.parallel_config(backend=options.backend):
        one_by_one = joblib.parallel.get_active_backend()[0].supports_return_generator  # Ray returns all at the end
        parallel = joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered" if one_by_one else "list")
        for run in parallel(joblib.delayed(train_one)(run) for run in runs):
            rows = pd.concat([rows, pd.DataFrame(run)])
            unfinished = path.with_suffix(".tmp")  # the file is replaced as a whole: an interruption leaves the old one
            rows.to_csv(unfinished, index=False, lineterminator="\n")
            unfinished.replace(path)
            print(", ".join(f"{column} {value}" for column, value in run[-1].items()), flush=True)
    return pd.read_csv(path)
