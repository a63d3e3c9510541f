"""page_study.py: its parts, on the page."""

import gzip
import json
from types import SimpleNamespace

import numpy as np
import pytest

from experiments import page_study
from experiments.synthetic_photos import STROKES, smooth
from web.build import PAGE


@pytest.fixture
def page(browser):
    browser.get(PAGE.as_uri())
    return browser


def test_pen_strokes_are_read_alone_and_side_by_side(page, tmp_path):
    rows = [
        {"writer": 0, "label": str(digit), "strokes": [(smooth(stroke) * 0.4).tolist() for stroke in STROKES[digit]]}
        for digit in range(10)
    ]
    rows.append({"writer": 1, "label": "5", "strokes": rows[3]["strokes"]})
    file = tmp_path / "digits.json.gz"
    file.write_bytes(gzip.compress(json.dumps(rows).encode()))
    digits, *numbers = page_study.measure_strokes(page, SimpleNamespace(strokes=file))
    assert (digits["n"], digits["right"], digits["wrong without a warning"]) == (11, 10, 1)  # a 3 with a wrong label
    assert [number["n"] for number in numbers] == [1] * len(page_study.GAPS)
    assert numbers[0]["right"] == 1  # widely spaced


def test_crosses_get_a_warning_and_times_are_measured(page):
    crosses = [("none", page_study.cross(np.random.default_rng(seed))) for seed in range(5)]
    assert [warned for *_, warned in page_study.read(page, crosses)] == [True] * 5
    (row,) = page_study.measure_timing(page, None)
    assert 0 < float(row["forward_ms"]) < 1000
