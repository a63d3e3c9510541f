"""The house as it is planned: what may import what, how long a file may be, and what a name in README promises."""

import ast
import re

import pytest
from helpers import ROOT

import utils

# A room of training/ and the rooms below it that it may import.
BELOW = {
    "checks": set(),
    "data": {"checks"},
    "augmentation": {"checks", "data"},
    "optimizers": {"checks", "data"},
    "cpu": set(),
    "cuda": set(),
    "trainer": {"augmentation", "checks", "cpu", "cuda", "data", "optimizers"},
    "identity": {"checks", "data"},
    "checkpoint": {"checks", "data", "identity"},
}
OURS = {"training", "utils", "model", "deploy", "experiments", "tools", "tests"}
FILES = [path for path in sorted(ROOT.rglob("*.py")) if not {".venv", "build"} & set(path.parts)]


def imports_of(path):
    """Return the names of all modules that the file `path` imports, wherever in it, as it writes them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively"
            rooms = {f"training.{alias.name}" for alias in node.names}
            found |= rooms if node.module == "training" else {node.module}
    return found


def ours(path):
    return {name for name in imports_of(path) if name.split(".")[0] in OURS}


def test_every_room_is_in_the_plan():
    assert {path.stem for path in (ROOT / "training").glob("*.py")} - {"__init__"} == set(BELOW)
    assert ours(ROOT / "training" / "__init__.py") == set()


@pytest.mark.parametrize("room", BELOW)
def test_a_room_imports_only_what_is_below_it(room):
    assert ours(ROOT / "training" / f"{room}.py") <= {f"training.{name}" for name in BELOW[room]}


def test_the_readme_of_training_lists_every_room_and_the_lower_ones_further_down():
    listed = re.findall(r"\[(\w+)\.py\]", (ROOT / "training" / "README.md").read_text(encoding="utf-8"))
    rooms = [name for name in listed if name in BELOW]
    assert sorted(rooms) == sorted(BELOW)
    assert all(rooms.index(below) > rooms.index(room) for room in BELOW for below in BELOW[room])


def test_model_stands_alone_and_utils_on_training_alone():
    assert ours(ROOT / "model.py") == set()
    assert {name.split(".")[0] for name in ours(ROOT / "utils.py")} == {"training"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_file_is_longer_than_a_sitting(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= (150 if path.parent == ROOT / "training" else 450)


def test_readme_is_one_page():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_what_utils_hands_on_is_there_and_documented():
    for name in utils.__all__:
        value = getattr(utils, name)
        assert not callable(value) or value.__doc__, name


def test_no_experiment_touches_the_import_path():
    for path in (ROOT / "experiments").glob("*.py"):
        assert "sys.path" not in path.read_text(encoding="utf-8"), path.name
