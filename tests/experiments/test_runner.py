"""runner.py: what a study keeps, resumes, repairs and refuses."""

import importlib.util
import subprocess
import sys
import types

import pytest
import torch
from helpers import ROOT, make_net

import utils
from experiments import runner, seeds, timing

COLUMNS = ("seed", "epoch", "value")


def rows_of(run):
    return [{"epoch": epoch, "value": 10 * run["seed"] + epoch} for epoch in (1, 2)]


def run_all(path, count, train_one=rows_of, **options):
    runs = [{"seed": seed} for seed in range(count)]
    return runner.run_all(path, COLUMNS, ("seed",), runs, train_one, epochs=2, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.csv"


@pytest.mark.parametrize("backend", ["loky", "multiprocessing"])
def test_run_all_keeps_every_run_on_every_backend(path, backend):
    """The second returns all results at once, as Ray's does."""
    rows = run_all(path, 5, jobs=2, backend=backend)
    expected = [str(row["value"]) for seed in range(5) for row in rows_of({"seed": seed})]
    assert sorted((row["value"] for row in rows), key=int) == expected
    assert all(row["seed"] == str(int(row["value"]) // 10) for row in rows)


def test_run_all_never_repeats_a_run(path):
    trained = []

    def train_one(run):
        trained.append(run["seed"])
        return rows_of(run)

    for count in (2, 4, 3):
        run_all(path, count, train_one, backend="sequential")
    assert trained == [0, 1, 2, 3]


@pytest.mark.parametrize("jobs", [1, 16])
def test_run_all_keeps_what_was_finished_before_an_interruption(path, jobs):
    def train_one(run):
        if run["seed"] == 2:
            raise KeyboardInterrupt
        return rows_of(run)

    with pytest.raises(KeyboardInterrupt):
        run_all(path, 4, train_one, jobs=jobs, backend="sequential")
    assert [row["seed"] for row in timing.read(path)] == ["0", "0", "1", "1"]
    assert len(run_all(path, 4, backend="sequential")) == 8


@pytest.mark.parametrize("shell", [None, "a notebook's"])
def test_run_all_does_not_keep_an_interrupted_run(small, monkeypatch, path, shell):
    """`fit` raises in a script, and returns a part of the run in a notebook."""
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))

    def interrupt(state):
        interrupt.calls += 1
        if interrupt.calls == 4:
            raise KeyboardInterrupt

    def train_one(run):
        history = runner.train(small, run["seed"], epochs=2, extra_metrics=lambda state: interrupt(state) or {})
        return [{"epoch": row["epoch"], "value": 10 * run["seed"] + row["epoch"]} for row in history]

    interrupt.calls = 0
    with pytest.raises(KeyboardInterrupt):
        run_all(path, 3, train_one, jobs=1, backend="sequential")
    assert [row["seed"] for row in timing.read(path)] == ["0", "0"]


COMPLETE = "seed,epoch,value\n0,1,1\n0,2,2\n"


@pytest.mark.parametrize("torn", ["1", "1,1,11\n", "1,1,11\n1,2,1", "1,1,11\n1,2\n"])
def test_run_all_repeats_an_incomplete_last_run(path, torn):
    path.write_text(COMPLETE + torn)
    run_all(path, 2, backend="sequential")
    assert path.read_text() == COMPLETE + "1,1,11\n1,2,12\n"


@pytest.mark.parametrize("torn", ["", "seed,epoch,value"])
def test_run_all_completes_an_incomplete_header(path, torn):
    path.write_text(torn)
    run_all(path, 1, backend="sequential")
    assert path.read_text() == COMPLETE


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("seed,epoch,loss\n0,1,1\n", "seed,epoch,loss"),
        ("seed,epoch,value\n0,1,1\n1,1,11\n1,2,12\n2,1,21\n2,2,22\n", "line 2"),
        (COMPLETE + "1,1,11\n2,2,22\n3,1,31\n3,2,32\n", "line 4"),
    ],
)
def test_run_all_refuses_a_file_that_no_interruption_explains(path, text, culprit):
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"study\.csv: .*{culprit}"):
        run_all(path, 1, backend="sequential")
    assert path.read_text() == text


def test_run_all_refuses_a_file_that_another_study_writes_to(path):
    fcntl = pytest.importorskip("fcntl", reason="Windows has no flock, and goes without")
    path.write_text(COMPLETE)
    with path.open("a+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RuntimeError, match=r"another study is writing to .*study\.csv"):
            run_all(path, 1, backend="sequential")


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_run_all_names_the_missing_package_of_its_backend(path):
    with pytest.raises(RuntimeError, match="pip install ray"):
        run_all(path, 1, backend="ray")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray, an optional package")
def test_run_all_trains_on_ray(path):
    """One epoch from each of two seeds, on a Ray that is started for it."""
    options = ["--backend", "ray", "--seeds", "2", "--epochs", "1", "--csv", str(path)]
    subprocess.run([sys.executable, "-m", "experiments.seeds", *options], cwd=ROOT, check=True)
    rows = timing.read(path)
    assert sorted(row["seed"] for row in rows) == ["0", "1"]
    assert all(float(row["test_accuracy"]) > 95 for row in rows)


def test_train_one_of_seeds_is_fit_with_its_defaults(few, capsys):
    rows = seeds.train_one({"seed": 3}, epochs=2)
    assert capsys.readouterr().out == ""
    utils.set_seed(3)
    history = utils.fit(runner.Net(), *few, epochs=2, seed=3, verbose=False)
    assert [tuple(row) for row in rows] == [seeds.COLUMNS[1:]] * 2
    for row, epoch in zip(rows, history, strict=True):
        assert row["test_accuracy"] == f"{100 * epoch['test_accuracy']:.2f}"
        assert row["test_loss"] == f"{epoch['test_loss']:.5f}"
        assert row["train_loss"] == f"{epoch['train_loss']:.5f}"
        assert (row["device"], row["torch"]) == (timing.device_name(utils.pick_device()), torch.__version__)


def test_evaluate_live_weights_ignores_the_ema_weights(small):
    state = timing.make_state(make_net(), small[0], steps=10)
    with torch.no_grad():
        state.ema_model.digits[-1].weight.zero_()
    found = runner.evaluate_live_weights(small[1])(state)
    assert tuple(found.values()) == utils.evaluate(state.live_model, small[1])
    assert tuple(found.values()) != utils.evaluate(state.ema_model, small[1])


def test_by_seed_takes_late_accuracies_and_the_last_loss():
    rows = [
        {"name": name, "seed": "7", "epoch": str(n), "test_accuracy": str(99 if n < 10 else n), "test_loss": str(n)}
        for name in "ab"
        for n in range(1, 16)
    ]
    assert runner.by_seed(rows, "test", "accuracy", name="a") == {7: 12.5}
    assert runner.by_seed(rows, "test", "loss", name="b") == {7: 15}
