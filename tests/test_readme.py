"""What the README says is there is there, and what it quotes is what was measured."""

import re
import subprocess

import nbformat
import notebook as tool
from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_result_is_that_of_the_saved_notebook():
    text = tool.printed(nbformat.read(tool.NOTEBOOK, as_version=4).cells)
    accuracies = re.findall(r"Accuracy: \d+/10000 \((\d+\.\d\d)%\)", text)
    first = next(i for i, accuracy in enumerate(accuracies, start=1) if float(accuracy) > 99.4)
    row = f"| {first} | {accuracies[9]} % | {accuracies[14]} % |"
    assert row in README


def test_links_and_pictures_exist():
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    local = [target for target in targets if not target.startswith("http")]
    assert len(local) >= 3
    assert [target for target in local if not (ROOT / target).exists()] == []


def test_every_make_target_it_names_exists():
    named = set(re.findall(r"(?:^|[`·] ?|=1 )make ([a-z]+)", README, flags=re.MULTILINE))
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    offered = set(re.findall(r"^make ([a-z]+)", printed, flags=re.MULTILINE))
    assert {"run", "test"} <= named <= offered


def test_the_layout_names_every_tracked_thing_at_the_top():
    layout = re.search(r"## Layout\n+```\n(.*?)```", README, flags=re.DOTALL)[1]
    named = {line.split()[0].split("/")[0] for line in layout.splitlines() if line and not line.startswith(" ")}
    hidden = {".git", ".gitignore", ".venv", "build", "__pycache__", "LICENSE", "README.md"}
    there = {path.name for path in ROOT.iterdir() if not path.name.endswith("_cache")} - hidden
    assert there - named - {".hypothesis", ".ipynb_checkpoints"} == set()
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_ci_runs_what_the_readme_tells():
    assert "make test\n" in (ROOT / ".ci/run").read_text()
    assert "bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()
