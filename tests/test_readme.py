"""What the README says is there is there, and what it quotes is what was measured."""

import re
import shutil
import subprocess

import nbformat
import pytest
import torch
from helpers import ROOT

import utils
from experiments import runner as study
from experiments import schedule_length as budget
from experiments import seeds
from model import Net
from tools import run_notebook as tool

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_result_is_that_of_the_saved_notebook():
    text = tool.printed(nbformat.read(tool.NOTEBOOK, as_version=4).cells)
    accuracies = re.findall(r"Accuracy: \d+/10000 \((\d+\.\d\d)%\)", text)
    first = next(i for i, accuracy in enumerate(accuracies, start=1) if float(accuracy) > 99.4)
    told = f"first above 99.40 % in epoch {first}, {accuracies[9]} % after epoch 10, {accuracies[14]} % after epoch 15"
    assert told in " ".join(README.split())


def test_the_seeds_it_quotes_are_those_of_the_csv():
    runs = seeds.accuracies(study.read(seeds.CSV))
    summary = seeds.summarise(runs)
    assert list(runs) == list(range(len(runs)))
    assert seeds.table(summary) in README
    assert f"{summary['always_from_10']} of the {summary['seeds']} seeds" in README
    assert all(max(run[: utils.TARGET_EPOCH]) > 100 * utils.TARGET_ACCURACY for run in runs.values())
    tenth = sum(run[9] > 100 * utils.TARGET_ACCURACY for run in runs.values())
    assert f"All {len(runs)} are above 99.40 % within 10 epochs, {tenth} of them right after the tenth." in README


def test_the_shorter_courses_it_quotes_are_those_of_the_budget():
    found = budget.read()
    table = budget.summarise(found)
    by_mean, by_seeds = budget.fewest(table)
    (mean,) = (row["mean"] for row in table if row["epochs"] == by_mean)
    text = " ".join(README.split())
    assert f"with `epochs={by_mean}` the mean of ten seeds is {mean:.2f} %" in text
    assert f"and with `epochs={by_seeds}` all ten are there" in text
    assert len(found[by_mean]) == len(found[by_seeds]) == 10
    assert min(found[by_seeds].values()) >= 100 * utils.TARGET_ACCURACY


def test_the_comparison_quotes_our_seeds():
    summary = seeds.summarise(seeds.accuracies(study.read(seeds.CSV)))
    ours = f"| {summary['mean_15']:.2f} % after epoch 15 | the mean of {summary['seeds']} seeds |"
    assert f"| this repository | {sum(p.numel() for p in Net().parameters()):,} {ours}" in README


def test_its_python_runs_as_it_stands(small, tmp_path, monkeypatch, capsys):
    """In an empty folder, with fewer images: both networks train, and what is saved loads."""
    (code,) = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    folders = []

    def load(folder, device):
        folders.append(folder)
        return small

    monkeypatch.setattr(utils, "load_mnist", load)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code.replace("checkpoint=", "epochs=2, checkpoint="), names)
    assert folders == ["data"]
    assert len(names["history"]) == 2
    Net().load_state_dict(torch.load(tmp_path / "build" / "mine.pt", weights_only=True))
    assert names["linear"].training is False
    assert capsys.readouterr().out.count("EPOCH: ") == 2 + 3


def test_links_and_pictures_exist():
    for page in (ROOT / folder / "README.md" for folder in (".", "experiments", "deploy", "training")):
        targets = re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8"))
        local = [target for target in targets if not target.startswith("http")]
        assert local, page
        assert [target for target in local if not (page.parent / target).exists()] == []


def test_every_make_target_it_names_exists():
    named = set(re.findall(r"(?:^|[`·] ?|=1 )make ([a-z]+)", README, flags=re.MULTILINE))
    if shutil.which("make") is None:
        pytest.skip("needs make")
    printed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    offered = set(re.findall(r"^make ([a-z]+)", printed, flags=re.MULTILINE))
    assert {"run", "test"} <= named <= offered


def test_the_layout_names_every_tracked_thing_at_the_top():
    layout = re.search(r"## Layout\n+```\n(.*?)```", README, flags=re.DOTALL)[1]
    named = {name.split("/")[0] for line in layout.splitlines() if line[0] != " " for name in line[:19].split()}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("needs this folder to be a git checkout")
    there = {name.split("/")[0] for name in tracked.stdout.splitlines()}
    assert there - named == {".gitattributes", ".gitignore", "CONTRIBUTING.md", "LICENSE", "README.md"}
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_ci_runs_what_the_readme_tells():
    assert re.search(r"^make test\b", (ROOT / ".ci/run").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert "bash .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")


def test_the_lowest_versions_it_states_are_those_of_the_requirements():
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    lowest = dict(re.findall(r"^([\w-]+)>=([\d.]+)$", text, flags=re.MULTILINE))
    assert {"torch", "torchvision", "torchsummary", "matplotlib", "tqdm", "nbval", "jupyter"} <= set(lowest)
    assert f"PyTorch {lowest['torch']} with torchvision {lowest['torchvision']}" in README
    major, minor = re.search(r"Python (\d)\.(\d+) or newer", README).groups()
    assert f"version_info < ({major}, {minor})" in (ROOT / "Makefile").read_text(encoding="utf-8")
