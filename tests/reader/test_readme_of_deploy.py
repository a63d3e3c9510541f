"""What deploy/README.md quotes is what was measured."""

import re

import pytest
import torch
from helpers import ROOT

from experiments import digit_strings as numbers
from experiments import other_digits as elsewhere
from experiments import page_timing as page_speed
from experiments import photo_robustness as pictures
from experiments import runner as study
from model import load_net
from tools import export_onnx as to_onnx
from training.augmentation import MEAN, STD, normalize
from web import build as page

README = (ROOT / "deploy" / "README.md").read_text(encoding="utf-8")


def test_the_digits_from_elsewhere_are_those_of_the_csv():
    rows = study.read(elsewhere.CSV)
    assert len(rows) >= 5
    for row in rows:
        images, correct = int(row["images"]), int(row["correct"])
        assert f"| {row['digits']} | {images:,} | {100 * correct / images:.1f} % |" in README


def test_the_numbers_are_those_of_the_csv():
    rows = study.read(numbers.CSV)
    assert [row["numbers"] for row in rows[:8]] == ["1 digit", *(f"{n} digits" for n in range(2, 9))]
    for row in rows:
        digits, pictures = int(row["digits"]), int(row["pictures"])
        assert pictures >= 100
        right, whole, miscounted = (
            f"{100 * int(row[column]) / total:.1f} %"
            for column, total in (("digits_right", digits), ("all_right", pictures), ("wrong_count", pictures))
        )
        assert f"| {row['numbers']} | {pictures} | {right} | {whole} | {miscounted} |" in README


def test_onnx_and_page_are_as_large_and_quick_as_the_csvs_say():
    (model,), (shown,) = study.read(to_onnx.CSV), study.read(page_speed.CSV)
    assert shown["bytes"] == str(page.PAGE.stat().st_size)
    text = " ".join(README.split())
    for quoted in (
        f"one file of {int(shown['bytes']) / 1000:.0f} kB",
        f"A forward pass takes {shown['forward_ms']} ms",
        f"sets off {shown['point_ms']} ms",
        f"mnist_6k.onnx), {int(model['bytes']) / 1000:.0f} kB",
        f"less {MEAN}, over {STD}",
        f"On all {int(model['images']):,} test images",
        f"no logit differs by more than {model['largest_difference']}",
        f"image takes {model['onnxruntime_ms']} ms on one thread, in PyTorch {model['torch_ms']} ms",
    ):
        assert quoted in text


def test_its_onnx_lines_run_as_they_stand(monkeypatch):
    pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"^```python\n(import numpy.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    names = {}
    exec(code, names)
    expected = load_net()(normalize(torch.zeros(1, 1, 28, 28, dtype=torch.uint8)))
    assert names["logits"].dtype == "float32"
    assert names["logits"] == pytest.approx(expected.detach().numpy(), abs=1e-4)


def test_the_photographs_are_those_of_the_csv():
    rows = study.read(pictures.CSV)
    assert [(row["factor"], row["level"]) for row in rows if row["factor"] != "ordinary"] == [
        (factor, level) for factor, levels in pictures.FACTORS.items() for level in levels
    ]
    assert sum(int(row["n"]) for row in rows if row["factor"] != "ordinary") >= 500
    assert "\n".join(pictures.table(rows)) in README
