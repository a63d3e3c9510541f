"""What the measurements share: turns and their arithmetic, the recipe they follow, and modules that run anywhere."""

import importlib
import inspect
import re
import subprocess
import sys

import pytest
import torch
from helpers import ROOT, make_net

import utils
from experiments import runner as study
from experiments import timing as bench
from training.trainer import Trainer

FOLDER = ROOT / "experiments"
MODULES = [f"experiments.{path.stem}" for path in sorted(FOLDER.glob("*.py")) if path.stem != "__init__"]


# --- Turns ---


def test_variants_are_measured_in_turns(monkeypatch, capsys):
    asked = []

    def run_turn(*command):
        asked.append(command)
        return {"step_ms": len(asked)}

    monkeypatch.setattr(bench, "run_turn", run_turn)
    figures = bench.take_turns("AB", 3, lambda variant, number: (variant, number))
    assert asked == [(variant, number) for number in (1, 2, 3) for variant in "AB"]
    assert figures == {"A": [{"step_ms": n} for n in (1, 3, 5)], "B": [{"step_ms": n} for n in (2, 4, 6)]}
    assert capsys.readouterr().out.splitlines()[2] == "turn 2, A: 3.0 ms a step"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Return a function that writes a module `turn` of the given source, for child processes to run."""
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return (tmp_path / "turn.py").write_text


def test_a_turn_is_a_process_of_its_own_and_its_last_line_counts(module):
    module("import json, os, sys\nprint('noise')\nprint(json.dumps([os.getpid(), sys.argv[1:]]))\n")
    (first, arguments), (second, _) = (bench.run_turn("turn", "--images", 7) for _ in range(2))
    assert first != second
    assert arguments == ["--images", "7"]


def test_a_turn_knows_when_it_was_started(module):
    """What passes before anything of ours is imported counts."""
    module(
        "import time\nstart = time.time()\ntime.sleep(1)\nfrom experiments import bench\n"
        "print([bench.since_start(), time.time() - start])\n"
    )
    told, without_the_interpreter = bench.run_turn("turn")
    assert 1 <= without_the_interpreter <= told


def test_a_turn_has_the_threads_that_it_is_given(module, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    module("import os\nprint(os.environ['OMP_NUM_THREADS'])\n")
    assert [bench.run_turn("turn", threads=threads) for threads in (None, 1)] == [7, 1]


def test_a_turn_that_fails_ends_the_program_and_says_why(module):
    module("raise MemoryError('no more')\n")
    with pytest.raises(SystemExit, match=r"-m turn failed:(.|\n)*MemoryError: no more"):
        bench.run_turn("turn")


# --- Arithmetic and files ---


def test_a_spread_is_median_minimum_and_maximum():
    assert bench.spread([80.0, 120.0, 90.0]) == {"median": "90", "minimum": "80", "maximum": "120", "turns": 3}
    assert bench.spread([1 / 3], digits=2)["median"] == "0.33"


def test_ratios_are_taken_turn_by_turn():
    figures = {
        "slow": [{"step_ms": ms} for ms in (80.0, 120.0, 90.0)],
        "ours": [{"step_ms": ms} for ms in (40.0, 30.0, 20.0)],
    }
    assert bench.ratios(figures, "step_ms", "ours") == {"slow": [2.0, 4.0, 4.5], "ours": [1.0, 1.0, 1.0]}


def test_a_row_is_written_as_it_is_read(tmp_path):
    path = tmp_path / "row.csv"
    bench.write_row(path, bench.about(device="cpu Ümlaut, 2 GHz") | {"step_ms": "1.5"})
    assert path.read_bytes().startswith(b"date,device,cores,torch,step_ms\n")
    assert b"\r" not in path.read_bytes()
    (row,) = study.read(path)
    assert (row["device"], row["torch"], row["step_ms"]) == ("cpu Ümlaut, 2 GHz", torch.__version__, "1.5")


# --- The recipe ---


def test_what_is_timed_is_the_recipe_of_fit(small, monkeypatch):
    """`fit` by its defaults and the measurements ask for the same trainer."""
    asked = []

    def record(*values, **named):
        asked.append(inspect.signature(Trainer).bind(*values, **named).arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(utils, "Trainer", record)
    monkeypatch.setattr(bench, "Trainer", record)
    for ask in (lambda: utils.fit(make_net(), *small), lambda: bench.make_trainer(make_net(), small[0], steps=150)):
        with pytest.raises(KeyboardInterrupt):
            ask()
    by_fit, timed = asked
    assert torch.equal(by_fit.pop("shares"), timed.pop("shares"))
    assert isinstance(timed.pop("model"), type(by_fit.pop("model")))
    assert by_fit.pop("split") is timed.pop("split")
    assert timed == by_fit
    assert set(timed) == {"batch_size", "optimizers", "lr", "averaging"}


def test_no_measurement_repeats_a_number_of_the_recipe():
    numbers = [str(bench.RECIPE[name]) for name in ("batch_size", "lr", "averaging")]
    for name in ("bench", "baseline", "ours", "speed", "tricks", "floor"):
        code = re.sub(
            r'""".*?"""|".*?"|#[^\n]*', "", (FOLDER / f"{name}.py").read_text(encoding="utf-8"), flags=re.DOTALL
        )
        assert [number for number in numbers if re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", code)] == [], name
        assert "muon" not in code, name


# --- The modules ---


def test_every_module_can_be_imported_on_windows():
    """Which has neither `resource` nor `fcntl`."""
    lines = ["import sys", "sys.modules['resource'] = sys.modules['fcntl'] = None"]
    lines += [f"import {name}" for name in MODULES]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=ROOT, check=True)


def test_no_module_touches_the_import_path():
    for name in MODULES:
        source = (ROOT / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert [word for word in ("sys.path", "noqa") if word in source] == [], name


def test_make_runs_them_as_modules_and_their_docstrings_name_the_target():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^(\w+):.*\n((?:\t.*\n)+)", makefile, flags=re.MULTILINE)
    runs = {name: target for target, recipe in targets for name in re.findall(r"-m experiments\.(\w+)", recipe)}
    assert not re.search(r"experiments/\w+\.py", makefile)
    with_main = {name.split(".")[1] for name in MODULES if hasattr(importlib.import_module(name), "main")}
    assert set(runs) == with_main - {"baseline", "ours"}
    for module, target in runs.items():
        assert f"`make {target}" in importlib.import_module(f"experiments.{module}").__doc__
