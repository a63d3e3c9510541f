"""page_study.py: its parts, on the page."""

import gzip
import json

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
    digits, *numbers = page_study.measure_strokes(page, file)
    assert (digits["n"], digits["right"], digits["wrong without a warning"]) == (11, 10, 1)  # a 3 with a wrong label
    assert [number["n"] for number in numbers] == [1] * len(page_study.GAPS)
    assert numbers[0]["right"] == 1  # widely spaced


def test_times_are_measured(page):
    (row,) = page_study.measure_timing(page)
    assert 0 < float(row["forward_ms"]) < 1000
