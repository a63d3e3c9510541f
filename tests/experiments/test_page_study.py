"""page_study.py: pen strokes on the page."""

import gzip
import json

from experiments import page_study, results
from web.build import PAGE

DIGITS = json.loads((results.ROOT / "tests" / "web" / "strokes.json").read_text())["digits"]


def test_pen_strokes_are_read_alone_and_side_by_side(browser, tmp_path):
    rows = [{"writer": 0, "label": label, "strokes": drawings[0]} for label, drawings in DIGITS.items()]
    rows.append({"writer": 1, "label": "5", "strokes": DIGITS["3"][0]})
    file = tmp_path / "digits.json.gz"
    file.write_bytes(gzip.compress(json.dumps(rows).encode()))
    browser.get(PAGE.as_uri())
    digits, *numbers = page_study.measure_strokes(browser, file)
    assert (digits["n"], digits["right"], digits["wrong without a warning"]) == (11, 10, 1)  # a 3 with a wrong label
    assert [number["n"] for number in numbers] == [1] * len(page_study.GAPS)
    assert numbers[0]["right"] == 1  # widely spaced
