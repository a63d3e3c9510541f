"""The committed results hold every run of their protocols, and no other; `--help` runs no study."""

import importlib
import re
import sys

import pytest

import utils
from experiments import buildup, label_errors, other_networks, results, schedule_length
from model import load_net

SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in (results.ROOT / "experiments").glob("*.py")}
STUDIES = [name for name, text in SOURCES.items() if re.search(r"(results|runner)\.parser\(.*__main__", text, re.S)]


def product(names, seeds):
    return {(name, seed) for name in names for seed in seeds}


@pytest.mark.parametrize(
    ("name", "key", "runs", "epochs"),
    [
        ("seeds", "torch", product(["2.14.1+cu130"], range(40)), 15),
        ("seeds_xeon", "torch", product(["2.14.1+cu130"], range(16)), 15),
        ("seeds_cuda", "torch", product(["2.11.0+cu130"], range(144)), 15),
        *((f"schedule_{n}_cuda", "torch", product(["2.11.0+cu130"], range(40)), n) for n in (4, 5, 6)),
        ("schedule_length", "epochs", {(n, s) for n, k in schedule_length.SCHEDULES.items() for s in range(k)}, 1),
        ("buildup", "configuration", product(buildup.RECIPES, range(10)), 15),
        ("other_networks_cuda", "parameters", product(other_networks.SOURCES, range(12)), 15),
    ],
)
def test_results_hold_every_run(name, key, runs, epochs):
    rows = results.read(name)
    rows["epoch"] = rows.get("epoch", 1)
    found = rows.groupby([key, "seed"])["epoch"].agg(list)
    assert set(found.index) == runs
    assert all(numbers == list(range(1, epochs + 1)) for numbers in found)


def test_mistakes_are_those_of_the_saved_weights(mnist):
    """To within rounding: on another processor, an image with two nearly equal logits may change sides."""
    test = mnist[1]
    logits = utils.compute_logits(load_net().to(test.images.device), test.images)
    found = set(label_errors.mistakes(logits, test.labels)["test_index"])
    assert len(found ^ set(results.read("mistakes")["test_index"])) <= 2


@pytest.mark.parametrize("name", STUDIES)
def test_help_does_not_run_the_study(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    monkeypatch.setattr(utils, "load_mnist", None)
    with pytest.raises(SystemExit) as stop:
        importlib.import_module(f"experiments.{name}").main()
    assert stop.value.code == 0
    assert "--update" in capsys.readouterr().out
