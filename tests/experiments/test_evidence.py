"""The committed results hold every run of their protocols, and no other; `--help` runs no study."""

import importlib
import re
import sys

import pytest

import utils
from experiments import buildup, label_errors, other_networks, results, runner, schedule_length
from model import load_net

SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in (results.ROOT / "experiments").glob("*.py")}
STUDIES = [
    name for name, source in SOURCES.items() if re.search(r"(results|runner)\.parser\(.*__main__", source, re.DOTALL)
]
RATES = [f"constant {rate}" for rate in buildup.RATES]


def product(names, seeds):
    return {(name, seed) for name in names for seed in seeds}


@pytest.mark.parametrize(
    ("name", "key", "runs", "epochs"),
    [
        ("seeds", None, product([None], range(40)), 15),
        ("seeds_xeon", None, product([None], range(16)), 15),
        ("seeds_cuda", None, product([None], range(144)), 15),
        ("strength_seeds", None, product([None], range(26)), 15),
        *((f"schedule_{n}_cuda", None, product([None], range(40)), n) for n in schedule_length.GPU_SCHEDULES),
        ("schedule_length", "epochs", {(n, s) for n, k in schedule_length.SCHEDULES.items() for s in range(k)}, 1),
        ("buildup", "configuration", product(buildup.recipes(0.05), buildup.SEEDS), 15),
        ("buildup_rates", "configuration", product(RATES, buildup.TUNING_SEEDS), 15),
        ("other_networks_cuda", "parameters", product(other_networks.NETWORKS, range(12)), 15),
        ("strength", "line", product(["strength 0.5", "strength 1.25"], range(10)), 15),
    ],
)
def test_results_hold_every_run(name, key, runs, epochs):
    rows = results.read(name)
    names = rows[key] if key else [None] * len(rows)
    found = rows.get("epoch", rows["seed"] * 0 + 1).groupby([names, rows["seed"]], dropna=False).agg(list)
    assert {(name if key else None, seed) for name, seed in found.index} == runs
    assert all(numbers == list(range(1, epochs + 1)) for numbers in found)


def test_the_constant_rate_of_the_buildup_is_the_best_of_its_file():
    assert buildup.best_rate(results.read("buildup_rates")) == 0.05


def test_mistakes_are_those_of_the_saved_weights(mnist):
    """To within rounding: on another processor, an image with two nearly equal logits may change sides."""
    test = mnist[1]
    logits = utils.compute_logits(load_net().to(test.images.device), test.images)
    found = set(label_errors.mistakes(logits, test.labels)["test_index"])
    assert len(found ^ set(results.read("mistakes")["test_index"])) <= 2


@pytest.mark.parametrize("name", STUDIES)
def test_help_does_not_run_the_study(name, monkeypatch, capsys):
    study = importlib.import_module(f"experiments.{name}")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.setattr(runner, "load_splits", None)
    monkeypatch.setattr(utils, "load_mnist", None)
    with pytest.raises(SystemExit) as stop:
        study.main()
    assert stop.value.code == 0
    assert f"usage: {name}" in capsys.readouterr().out
