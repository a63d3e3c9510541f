"""The speed experiments: their arithmetic, their files, and that what is quoted of them is what they measured."""

import csv
import itertools
import re
import subprocess
import sys

import pytest
from shared import ROOT

from experiments import speed
from training.cpu import keep_freed_memory, spread_narrow_batchnorm

README = (ROOT / "README.md").read_text(encoding="utf-8")
METRICS = ["data_ms", "epoch_s", "evaluate_s", "fit_15_s"]
METRICS += ["images_per_s", "latency_ms", "peak_mb", "startup_s", "step_ms"]


def read(name):
    with (ROOT / "experiments" / name).open(newline="") as file:
        return list(csv.DictReader(file))


# The processor whose figures README quotes; the file may hold those of others as well.
QUOTED = "cpu AMD EPYC"


def figure(variant, metric):
    """Return the median of one figure of speed.csv on the processor that README names."""
    wanted = {"device": QUOTED, "variant": variant, "metric": metric}
    (row,) = (row for row in read("speed.csv") if wanted.items() <= row.items())
    return float(row["median"])


@pytest.fixture
def turns():
    def turn(step):
        return {"device": "cpu Test", "torch": "2.0", "step_ms": step, "data_ms": 1.0}

    return {
        "idiom": [turn(80.0), turn(120.0), turn(90.0)],
        "idiom-reference": [turn(160.0), turn(160.0), turn(160.0)],
        "ours": [turn(40.0), turn(30.0), turn(20.0)],
    }


def test_a_row_holds_median_minimum_and_maximum(turns):
    rows = speed.summarise(turns)
    row = next(row for row in rows if (row["variant"], row["metric"]) == ("idiom", "step_ms"))
    assert (row["median"], row["minimum"], row["maximum"], row["turns"]) == ("90", "80", "120", 3)
    assert tuple(row) == speed.FIELDS


def test_ratios_are_taken_turn_by_turn(turns):
    assert speed.ratios(turns, "step_ms")["idiom"] == (4.0, 2.0, 4.5)
    assert speed.ratios(turns, "step_ms")["ours"] == (1.0, 1.0, 1.0)


def test_rows_of_another_device_stay(turns, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "CSV", tmp_path / "speed.csv")
    rows = speed.summarise(turns)
    speed.write_csv(rows)
    speed.write_csv([row | {"device": "cuda Other"} for row in rows])
    speed.write_csv([row | {"median": "7"} for row in rows])
    found = speed.read_csv()
    assert len(found) == 2 * len(rows)
    assert {row["median"] for row in found if row["device"] == "cpu Test"} == {"7"}
    assert "7" not in {row["median"] for row in found if row["device"] == "cuda Other"}


def test_a_second_processor_changes_nothing_of_what_is_quoted(tmp_path, monkeypatch):
    quoted = figure("ours", "step_ms")
    monkeypatch.setattr(speed, "CSV", tmp_path / "speed.csv")
    monkeypatch.setattr(sys.modules[__name__], "read", lambda name: speed.read_csv())
    rows = [dict(row) for row in csv.DictReader((ROOT / "experiments" / "speed.csv").open(newline=""))]
    speed.write_csv(rows)
    speed.write_csv([row | {"device": "cpu Other", "median": "1"} for row in rows])
    assert len(speed.read_csv()) == 2 * len(rows)
    assert figure("ours", "step_ms") == quoted


def test_the_chart_draws_a_panel_a_device(turns, tmp_path):
    rows = speed.summarise(turns)
    figure = speed.plot(rows + [row | {"device": "cuda Other"} for row in rows])
    assert [axes.get_title().split(",")[0] for axes in figure.axes] == ["cpu Test", "cuda Other"]
    assert all(axes.get_xlabel() for axes in figure.axes)
    figure.savefig(tmp_path / "chart.png")


def test_a_quick_look_measures_everything_and_writes_nothing():
    before = speed.CSV.read_bytes()
    command = [sys.executable, "-m", "experiments.speed", "--steps", "2", "--turns", "1"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for metric in set(METRICS) - {"fit_15_s"}:
        values = re.search(rf"^{metric} +([\d.e+]+) +([\d.e+]+) +([\d.e+]+)$", printed, flags=re.MULTILINE)
        assert values, metric
        assert all(float(value) > 0 for value in values.groups()), metric
    assert speed.CSV.read_bytes() == before


def test_the_committed_figures_are_complete():
    rows = read("speed.csv")
    assert tuple(rows[0]) == speed.FIELDS
    assert QUOTED in {row["device"] for row in rows}
    assert QUOTED.removeprefix("cpu ") in README
    for device, variant in itertools.product({row["device"] for row in rows}, speed.VARIANTS):
        metrics = sorted(row["metric"] for row in rows if (row["device"], row["variant"]) == (device, variant))
        assert metrics == [metric for metric in METRICS if metric != "fit_15_s" or variant == "ours"]
    for row in rows:
        assert 0 < float(row["minimum"]) <= float(row["median"]) <= float(row["maximum"])
        assert int(row["turns"]) >= (1 if row["metric"] == "fit_15_s" else 3)


def test_the_docstrings_quote_what_was_measured():
    ratios = {row["without"]: float(row["median"]) for row in read("tricks.csv") if row["metric"] == "ratio"}
    for trick in (keep_freed_memory, spread_narrow_batchnorm):
        assert f"takes {ratios[trick.__name__]:.2f} times as long" in " ".join(trick.__doc__.split())


def test_the_readme_quotes_what_was_measured():
    for variant, name in (
        ("idiom", "`DataLoader` idiom, no dropout, as ours"),
        ("idiom-reference", "`DataLoader` idiom, the reference's dropout 0.05"),
        ("ours", "this repository"),
    ):
        step, data, epoch = (figure(variant, metric) for metric in ("step_ms", "data_ms", "epoch_s"))
        evaluation, ratio = figure(variant, "evaluate_s"), step / figure("ours", "step_ms")
        row = f"| {name} | {step:.0f} ms | {data:.1f} ms | {epoch:.0f} s | {evaluation:.2f} s | {ratio:.1f} × |"
        assert row in README
    (floor,) = read("floor.csv")
    assert f"{floor['step_mflop']} million floating-point operations" in README
    assert f"{floor['matmul_gflop_per_s']} billion a second" in README
    assert f"{floor['floor_ms']} ms" in README
    assert f"Convolution takes {floor['convolution_percent']} %" in README
    assert f"BatchNorm takes {floor['batch_norm_percent']} % and ReLU {floor['relu_percent']} %" in README
    assert f"fifteen epochs in {figure('ours', 'fit_15_s') / 60:.1f} minutes" in README
