"""Many trainings: what a study keeps, resumes, mends and refuses, and what is worked out from its rows."""

import contextlib
import functools
import importlib.util
import math
import subprocess
import sys
import types

import pytest
import torch
from helpers import ROOT, make_trainer

import utils
from experiments import buildup as ablation
from experiments import final, search, seeds, strength
from experiments import runner as study

FIELDS = ("seed", "epoch", "value")


def rows_of(seed, epochs=2):
    return [{"epoch": epoch, "value": 10 * seed + epoch} for epoch in range(1, epochs + 1)]


def work(run):
    return rows_of(run["seed"])


def make(path, count, do=work, **options):
    return study.study(path, FIELDS, ("seed",), [{"seed": seed} for seed in range(count)], do, epochs=2, **options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study.csv"


# --- A study ---


def test_every_run_is_kept(path):
    rows = make(path, 3, jobs=2)
    assert sorted(rows, key=lambda row: (row["seed"], row["epoch"])) == [
        {"seed": str(seed), "epoch": str(row["epoch"]), "value": str(row["value"])}
        for seed in range(3)
        for row in rows_of(seed)
    ]


def test_a_run_is_never_made_twice(path):
    made = []

    def note(run):
        made.append(run["seed"])
        return work(run)

    for count in (2, 4, 3):
        make(path, count, note, backend="sequential")
    assert made == [0, 1, 2, 3]


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_backends_differ_in_nothing_but_order(path, backend):
    """The last of the three returns its results all at once, as Ray's does."""
    rows = make(path, 5, jobs=2, backend=backend)
    assert sorted(int(row["value"]) for row in rows) == sorted(row["value"] for n in range(5) for row in rows_of(n))


@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_what_was_finished_before_a_failure_is_kept(path, jobs):
    def fail_at_two(run):
        if run["seed"] == 2:
            raise KeyboardInterrupt
        return work(run)

    with pytest.raises(KeyboardInterrupt):
        make(path, 4, fail_at_two, jobs=jobs, backend="sequential")
    assert [row["seed"] for row in study.read(path)] == ["0", "0", "1", "1"]
    assert len(make(path, 4, backend="sequential")) == 8


@pytest.mark.parametrize("shell", [None, "a notebook's"])
def test_a_run_that_is_stopped_is_not_kept(small, monkeypatch, path, shell):
    """`fit` raises in a script, and returns a part of the run in a notebook; no part of it is a run of the study."""
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)

    def stop(trainer):
        stop.calls += 1
        if stop.calls == 4:
            raise KeyboardInterrupt

    def train(run):
        history = study.train(small, run["seed"], epochs=2, extra=stop)
        return [{"epoch": row["epoch"], "value": 10 * run["seed"] + row["epoch"]} for row in history]

    stop.calls = 0
    with pytest.raises(KeyboardInterrupt):
        make(path, 3, train, jobs=1, backend="sequential")
    assert [row["seed"] for row in study.read(path)] == ["0", "0"]
    assert len(make(path, 3, train, jobs=1, backend="sequential")) == 6


WHOLE = "seed,epoch,value\n0,1,1\n0,2,2\n"


@pytest.mark.parametrize(
    "torn",
    ["1", "1,1,1", "1,1,11\n", "1,1,11\n1,2,1", "1,1,11\n1,2\n", "1,1,11\n1,2", "1,1,11\n1,", "1,2,12\n", "\n"],
)
def test_a_torn_end_is_cut_off(path, torn):
    path.write_text(WHOLE + torn)
    rows = make(path, 2, backend="sequential")
    assert path.read_text() == WHOLE + "1,1,11\n1,2,12\n"
    assert len(rows) == 4


@pytest.mark.parametrize("torn", ["", "s", "seed,epoch", "seed,epoch,value"])
def test_a_torn_header_is_written_again(path, torn):
    path.write_text(torn)
    make(path, 1, backend="sequential")
    assert path.read_text() == WHOLE


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("seed,epoch,loss\n0,1,1\n", "seed,epoch,loss"),
        ("seed,epoch,value,more\n", "seed,epoch,value,more"),
        ("seed,epoch,value\n0,1,1\n1,1,11\n1,2,12\n2,1,21\n2,2,22\n", "from line 2"),
        (WHOLE + "1,2,12\n1,1,11\n2,1,21\n2,2,22\n", "from line 4"),
        (WHOLE + "1,1,11\n2,2,22\n3,1,31\n3,2,32\n", "from line 4"),
    ],
)
def test_a_file_that_no_interruption_explains_is_refused(path, text, culprit):
    path.write_text(text)
    with pytest.raises(ValueError, match=culprit) as error:
        make(path, 1, backend="sequential")
    assert path.name in str(error.value)
    assert path.read_text() == text


def test_two_studies_never_write_to_one_file(path):
    fcntl = pytest.importorskip("fcntl", reason="Windows has no flock, and goes without")
    path.write_text(WHOLE)
    with path.open("a+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(RuntimeError, match=r"another study is writing to .*study\.csv"):
            make(path, 1, backend="sequential")
    assert path.read_text() == WHOLE


def test_an_unknown_backend_is_refused(path):
    with pytest.raises(ValueError, match="nowhere"):
        make(path, 1, backend="nowhere")


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_its_backend_says_so(path):
    with pytest.raises(RuntimeError, match="pip install ray"):
        make(path, 1, backend="ray")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray, an optional package")
def test_ray_makes_the_runs(path):
    """For real: one epoch from each of two seeds, on a Ray that is started for it."""
    options = ["--backend", "ray", "--seeds", "2", "--epochs", "1", "--csv", str(path)]
    subprocess.run([sys.executable, "-m", "experiments.seeds", *options], cwd=ROOT, check=True)
    rows = study.read(path)
    assert sorted(row["seed"] for row in rows) == ["0", "1"]
    assert all(float(row["test_accuracy"]) > 95 for row in rows)


# --- A run ---


def test_a_run_of_the_seeds_is_fit_as_it_stands(few):
    rows = seeds.work({"seed": 3}, epochs=2)
    utils.set_seed(3)
    with contextlib.redirect_stdout(None):
        history = utils.fit(study.Net(), *few, epochs=2, seed=3)
    assert [tuple(row) for row in rows] == [seeds.FIELDS[1:]] * 2
    for row, epoch in zip(rows, history, strict=True):
        assert row["test_accuracy"] == f"{100 * epoch['test_accuracy']:.2f}"
        assert row["test_loss"] == f"{epoch['test_loss']:.5f}"
        assert row["train_loss"] == f"{epoch['train_loss']:.5f}"
        assert row["torch"] == torch.__version__


def test_the_seeds_of_a_gpu_have_a_file_of_their_own():
    assert seeds.csv_of(torch.device("cpu")) == seeds.CSV
    assert seeds.csv_of(torch.device("cuda", 0)) == seeds.CSV.with_name("seeds_cuda.csv")


def test_two_devices_are_compared_seed_by_seed():
    """Over epochs 10 to 15 and the loss after 15: 0.03 and 0.05 points apart in those two seeds that both have."""

    def rows(runs):
        return [
            {"seed": str(seed), "epoch": str(n), "test_accuracy": str(late if n >= 10 else 90), "test_loss": str(loss)}
            for seed, (late, loss) in runs.items()
            for n in range(1, 16)
        ]

    found = seeds.against(
        rows({0: (99.47, 0.02), 2: (99.55, 0.03)}), rows({2: (99.6, 0.01), 1: (9, 9), 0: (99.5, 0.01)})
    )
    assert [own.mean for own in found.values()] == pytest.approx([-0.04, 0.015])
    assert list(found) == ["accuracy", "loss"]
    assert [own.pairs for own in found.values()] == [2, 2]
    # Student's t for one degree of freedom and a level of 97.5 % is 25.452, the standard error 0.01.
    assert found["accuracy"].high == pytest.approx(-0.04 + 0.25452, abs=1e-4)


def test_the_weights_being_trained_are_looked_at_and_not_their_average(small):
    trainer = make_trainer(small[0])
    with torch.no_grad():
        trainer.averaged.digits[-1].weight.zero_()
    found = study.look_at_current(small[1])(trainer)
    assert tuple(found.values()) == utils.evaluate(trainer.model, small[1])
    assert tuple(found.values()) != utils.evaluate(trainer.averaged, small[1])


@pytest.mark.parametrize("name", search.CANDIDATES)
def test_every_candidate_of_the_search_runs(few, name, monkeypatch):
    monkeypatch.setattr(search, "hold_out", lambda training: few)
    monkeypatch.setitem(search.BASE, "epochs", 1)
    (row,) = search.work({"candidate": name, "seed": 0})
    assert set(row) == set(search.FIELDS) - set(search.NAMES)


class Forbidden:
    """What raises whatever one does with it."""

    def __getattribute__(self, name):
        raise AssertionError(f"somebody asked for its {name}")

    def __iter__(self):
        raise AssertionError("somebody looked into it")


@pytest.mark.parametrize(
    ("work", "named"),
    [
        (search.work, {"candidate": "muon 0.15"}),
        (final.work, {"line": "recipe"}),
        (strength.work, {"line": "strength 0.5"}),
        (ablation.tune, {"line": "constant 0.005"}),
    ],
    ids=["search", "final", "strength", "rates"],
)
def test_the_test_set_takes_no_part_in_a_choice(few, monkeypatch, work, named):
    """The whole of `work`, on a test set that cannot be looked at; the two sets that it trains and judges by differ."""
    monkeypatch.setattr(utils, "load_mnist", lambda *_: (few[0], Forbidden()))
    monkeypatch.setattr(study, "train", functools.partial(study.train, epochs=1))
    fit, seen = utils.fit, []

    def watched(model, *splits, **recipe):
        seen.append(splits)
        return fit(model, *splits, **recipe)

    monkeypatch.setattr(utils, "fit", watched)
    (row,) = work({**named, "seed": 0})
    assert 0 < float(row["validation_accuracy"]) <= 100
    ((training, held),) = seen
    together = torch.cat([training.images, held.images]).flatten(1).sum(dim=1).sort().values
    assert torch.equal(together, few[0].images.flatten(1).sum(dim=1).sort().values)


def test_annealed_augmentation_goes_from_its_first_strength_to_its_last(few, monkeypatch):
    """Told by the limit of the shift, with a trial before the first epoch, as `fit` makes it."""
    asked = []
    monkeypatch.setattr(utils, "random_affines", lambda n, degrees, shift, *rest: asked.append(shift))
    augment = search.arguments({"strength": (1.5, 0.1), "limits": {"shift": 0.5}})["augment"]
    for _ in range(1 + study.EPOCHS):
        augment(2)
    assert asked == pytest.approx([0.75, *(0.75 - 0.05 * epoch for epoch in range(15))])
    assert search.arguments({"lr": 1}) == {"lr": 1}


def test_the_augmentation_of_the_recipe_is_that_of_strength_one_half(few):
    maps = [
        augment(5, generator=torch.Generator().manual_seed(0))
        for augment in (utils.random_affines, search.Annealed(0.5, 0.5))
    ]
    torch.testing.assert_close(*maps)


def test_a_sixth_of_the_training_images_is_held_out(mnist):
    training, held = search.hold_out(mnist[0])
    assert len(training.labels) == 50_000
    assert len(held.labels) == 10_000
    shares = held.labels.bincount() / mnist[0].labels.bincount()
    assert ((shares - 1 / 6).abs() < 1e-3).all()
    together = torch.cat([training.images, held.images]).flatten(1).sum(dim=1).sort().values
    assert torch.equal(together, mnist[0].images.flatten(1).sum(dim=1).sort().values)
    assert torch.equal(search.hold_out(mnist[0])[1].labels, held.labels)


# --- What is worked out ---


def test_the_search_ranks_by_what_comes_after_epoch_ten():
    def rows(name, seed, early, late):
        accuracies = [early] * 9 + [late] * 6
        return [
            {
                "candidate": name,
                "seed": str(seed),
                "epoch": str(n),
                "validation_accuracy": str(a),
                "validation_loss": "0.1",
            }
            for n, a in enumerate(accuracies, start=1)
        ]

    table = search.compare(rows("fast", 0, 99.5, 99.2) + rows("good", 0, 98.0, 99.3) + rows("good", 1, 98.0, 99.5))
    assert [row["candidate"] for row in table] == ["good", "fast"]
    assert (table[0]["seeds"], table[0]["late"]) == (2, pytest.approx(99.4))
    assert search.tell(table).splitlines()[1].startswith("good")


def test_the_summary_of_seeds_counts_what_it_says():
    steady = [99.0] * 5 + [99.41] * 4 + [99.50] * 6
    early = [99.40] + [99.0] * 8 + [99.44] * 4 + [99.39, 99.60]
    rows = [
        {"seed": str(seed), "test_accuracy": str(accuracy)}
        for seed, run in enumerate((steady, early))
        for accuracy in run
    ]
    summary = seeds.summarise(seeds.accuracies(rows))
    assert summary["seeds"] == 2
    assert summary["mean_10"] == pytest.approx(99.47)
    assert summary["worst_10"] == 99.44
    assert summary["mean_15"] == pytest.approx(99.55)
    assert summary["deviation_15"] == pytest.approx(0.0707, abs=1e-4)
    # Student's t for one degree of freedom is 12.706, the standard error 0.05.
    assert (summary["low_15"], summary["high_15"]) == (pytest.approx(98.9147), pytest.approx(100.1853))
    assert (summary["worst_15"], summary["best_15"]) == (99.50, 99.60)
    assert summary["always_from_10"] == 1
    assert summary["first_median"] == 3.5
    assert summary["first_latest"] == 6
    assert "1 of 2 seeds" in seeds.tell(summary)
    assert [line.split(" | ")[1:] for line in seeds.asked(summary).splitlines()] == [
        ["99.470 %", "missed |"],
        ["99.50 %", "met |"],
        ["2 of 2", "met |"],
        ["1 of 2", "missed |"],
    ]
    assert seeds.table(summary).splitlines()[1] == "| 15 | 99.550 % | 98.915 to 100.185 | 0.071 | 99.50 % | 99.60 % |"


def test_a_seed_that_never_gets_there_is_not_left_out():
    summary = seeds.summarise({0: [99.0] * 15, 1: [99.5] * 15})
    assert summary["within_target_epoch"] == 1
    assert summary["first_latest"] == math.inf
    assert seeds.tell(summary).endswith("latest never")


# --- What is drawn ---


def test_the_figure_of_the_seeds_shows_every_run_and_the_mean(tmp_path):
    runs = {0: [99.0 + n / 50 for n in range(15)], 1: [99.1 + n / 50 for n in range(15)]}
    figure = seeds.plot(runs)
    curves, spread = figure.axes
    assert [list(line.get_ydata()) for line in curves.lines[:2]] == list(runs.values())
    assert list(curves.lines[2].get_ydata()) == pytest.approx([99.05 + n / 50 for n in range(15)])
    assert sorted(curves.get_legend_handles_labels()[1]) == ["99.4 %", "mean of 2 seeds", "one seed"]
    dots = [point for collection in spread.collections for point in collection.get_offsets()[:, 1]]
    assert dots == pytest.approx([runs[0][9], runs[1][9], runs[0][14], runs[1][14]])
    assert all(axes.get_xlabel() for axes in figure.axes)
    assert "%" in curves.get_ylabel()
    figure.savefig(tmp_path / "seeds.png")
