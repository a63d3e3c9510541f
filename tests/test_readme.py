"""What the README says is there is there, and what it quotes is what was measured."""

import re
import subprocess

import nbformat
import pytest
from shared import ROOT

from deploy import page, to_onnx
from experiments import elsewhere, study
from experiments import page as page_speed
from tools import notebook as tool

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_result_is_that_of_the_saved_notebook():
    text = tool.printed(nbformat.read(tool.NOTEBOOK, as_version=4).cells)
    accuracies = re.findall(r"Accuracy: \d+/10000 \((\d+\.\d\d)%\)", text)
    first = next(i for i, accuracy in enumerate(accuracies, start=1) if float(accuracy) > 99.4)
    row = f"| {first} | {accuracies[9]} % | {accuracies[14]} % |"
    assert row in README


def test_the_digits_from_elsewhere_are_those_of_the_csv():
    rows = study.read(elsewhere.CSV)
    assert len(rows) >= 5
    for row in rows:
        images, correct = int(row["images"]), int(row["correct"])
        assert f"| {row['digits']} | {images:,} | {100 * correct / images:.1f} % |" in README


def test_onnx_and_page_are_as_large_and_quick_as_the_csvs_say():
    (model,), (shown,) = study.read(to_onnx.CSV), study.read(page_speed.CSV)
    assert shown["bytes"] == str(page.PAGE.stat().st_size)
    text = " ".join(README.split())
    for quoted in (
        f"one file of {int(shown['bytes']) / 1000:.0f} kB",
        f"A forward pass takes {shown['forward_ms']} ms",
        f"sets off {shown['point_ms']} ms",
        f"mnist_6k.onnx), {int(model['bytes']) / 1000:.0f} kB",
        f"On all {int(model['images']):,} test images",
        f"no logit differs by more than {model['largest_difference']}",
        f"One image takes {model['onnxruntime_ms']} ms on one thread, in PyTorch {model['torch_ms']} ms",
    ):
        assert quoted in text


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
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("needs this folder to be a git checkout")
    there = {name.split("/")[0] for name in tracked.stdout.splitlines()}
    assert there - named == {".gitattributes", ".gitignore", "LICENSE", "README.md"}
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
