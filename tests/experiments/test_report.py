"""report.py: the committed texts hold what was measured, and a wrong marker is an error."""

import json

import pytest

from experiments import report


@pytest.mark.parametrize("name", report.TEXTS)
def test_make_report_changes_nothing(name):
    path = report.ROOT / name
    assert report.fill_file(path) == path.read_text(encoding="utf-8")


@pytest.fixture
def regions(monkeypatch):
    monkeypatch.setattr(report, "REGIONS", {"table": lambda: "| a |\n|---|", "mean": lambda: {"10": "99.50%"}})


def test_fill_writes_tables_and_single_figures(regions):
    text = "# T\n<!-- table -->\nold\n<!-- /table -->\nIt is <!-- mean.10 -->1<!-- /mean.10 -->."
    table = "<!-- table -->\n\n| a |\n|---|\n\n<!-- /table -->"
    filled = report.fill(text, "T.md")
    assert filled == f"# T\n{table}\nIt is <!-- mean.10 -->99.50%<!-- /mean.10 -->."
    assert report.fill(filled, "T.md") == filled


def test_fill_file_writes_the_markdown_cells_of_a_notebook(regions, tmp_path):
    path = tmp_path / "n.ipynb"
    source = "It is <!-- mean.10 -->1<!-- /mean.10 -->."
    path.write_text(json.dumps({"cells": [{"cell_type": kind, "source": [source]} for kind in ("markdown", "code")]}))
    markdown, code = json.loads(report.fill_file(path))["cells"]
    assert markdown["source"] == ["It is <!-- mean.10 -->99.50%<!-- /mean.10 -->."]
    assert code["source"] == [source]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("It is <!-- means -->1<!-- /means -->", "<!-- means --> is not in REGIONS"),
        ("It is <!-- mean.11 -->1<!-- /mean.11 -->", "<!-- mean.11 --> is not in REGIONS"),
        ("It is <!-- mean -->1<!-- /mean -->", "<!-- mean --> is not in REGIONS"),
        ("<!-- table -->\n<!-- mean.10 -->1<!-- /mean.10 -->", "<!-- table --> is not followed by <!-- /table -->"),
        ("<!-- mean.10 -->1<!-- /mean.10 --> is it", "begins a line"),
    ],
)
def test_fill_names_file_and_marker_of_a_mistake(regions, text, problem):
    with pytest.raises(ValueError, match=r"T\.md") as error:
        report.fill(text, "T.md")
    assert problem in str(error.value)
