"""runner.py: what a study keeps, resumes and repeats, and where it writes."""

import types

import pandas as pd
import pytest

from experiments import results, runner


def train_one(run):
    return [run | {"epoch": epoch, "value": 10 * run["seed"] + epoch} for epoch in (1, 2)]


def run_all(path, count, train_one=train_one, backend="loky", jobs=1):
    options = types.SimpleNamespace(jobs=jobs, backend=backend)
    return runner.run_all(path, [{"seed": seed} for seed in range(count)], train_one, options, epochs=2)


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_run_all_keeps_every_run_on_every_backend(tmp_path, backend):
    """The second returns all results at once, as Ray's does."""
    rows = run_all(tmp_path / "study.csv", 5, backend=backend, jobs=2)
    expected = [row["value"] for seed in range(5) for row in train_one({"seed": seed})]
    assert rows.sort_values(["seed", "epoch"])["value"].tolist() == expected


def test_an_interrupted_study_resumes_with_the_first_run_it_lacks(tmp_path):
    path, trained = tmp_path / "study.csv", []

    def interrupted(run):
        if run["seed"] == 2:
            raise KeyboardInterrupt
        return train_one(run)

    with pytest.raises(KeyboardInterrupt):
        run_all(path, 4, interrupted)
    assert pd.read_csv(path)["seed"].tolist() == [0, 0, 1, 1]
    run_all(path, 4, lambda run: trained.append(run["seed"]) or train_one(run))
    assert trained == [2, 3]


def test_an_incomplete_run_is_repeated_and_complete_ones_keep_their_text(tmp_path):
    path = tmp_path / "study.csv"
    path.write_text("seed,epoch,value,note\n0,1,1.50,\n0,2,2.00,x\n1,1,11.00,\n")
    run_all(path, 2)
    assert path.read_text() == "seed,epoch,value,note\n0,1,1.50,\n0,2,2.00,x\n1,1,11,\n1,2,12,\n"


def test_a_study_writes_to_build_unless_it_is_told_to_update():
    parser = results.parser("A study.")
    assert results.path_for("x", parser.parse_args([]).update) == results.ROOT / "build" / "x.csv"
    assert results.path_for("x", parser.parse_args(["--update"]).update) == results.RESULTS / "x.csv"
