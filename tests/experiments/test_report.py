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
    assert report.fill(text, "T.md") == f"# T\n{table}\nIt is <!-- mean.10 -->99.50%<!-- /mean.10 -->."


def test_fill_file_writes_the_markdown_cells_of_a_notebook(regions, tmp_path):
    path = tmp_path / "n.ipynb"
    source = "It is <!-- mean.10 -->1<!-- /mean.10 -->."
    path.write_text(json.dumps({"cells": [{"cell_type": kind, "source": [source]} for kind in ("markdown", "code")]}))
    markdown, code = json.loads(report.fill_file(path))["cells"]
    assert markdown["source"] == ["It is <!-- mean.10 -->99.50%<!-- /mean.10 -->."]
    assert code["source"] == [source]


@pytest.mark.parametrize(
    "text", ["It is <!-- mean.11 -->1<!-- /mean.11 -->", "<!-- table -->\n<!-- mean.10 -->1<!-- /mean.10 -->"]
)
def test_fill_refuses_unknown_and_unclosed_markers(regions, text):
    with pytest.raises(ValueError, match=r"T\.md"):
        report.fill(text, "T.md")
