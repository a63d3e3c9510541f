"""The speed experiments: their arithmetic, their files, and that what is quoted of them is what they measured."""

import itertools
import re
import subprocess
import sys

import pytest
from helpers import ROOT

import utils
from experiments import floor, ours, speed
from experiments import runner as study
from training.cpu import keep_freed_memory, spread_narrow_batchnorm

README = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
METRICS = ["data_ms", "epoch_s", "evaluate_s", "fit_15_s"]
METRICS += ["images_per_s", "latency_ms", "peak_mb", "startup_s", "step_ms"]


def read(name):
    return study.read(ROOT / "experiments" / name)


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
        return {"device": "cpu Test", "step_ms": step, "data_ms": 1.0, "epoch_s": step}

    return {
        "baseline": [turn(80.0), turn(120.0), turn(90.0)],
        "baseline-reference": [turn(160.0), turn(160.0), turn(160.0)],
        "ours": [turn(40.0), turn(30.0), turn(20.0)],
    }


def test_every_figure_of_every_variant_becomes_a_row(turns):
    rows = speed.summarise(turns)
    assert len(rows) == 3 * 3
    row = next(row for row in rows if (row["variant"], row["metric"]) == ("baseline", "step_ms"))
    assert (row["device"], row["median"], row["minimum"], row["maximum"]) == ("cpu Test", "90", "80", "120")
    assert tuple(row) == speed.FIELDS


def test_the_table_tells_ratios_turn_by_turn(turns, capsys):
    speed.print_table(turns, speed.summarise(turns))
    printed = capsys.readouterr().out
    assert "step_ms of baseline against ours, turn by turn: 4 × (2 to 4.5)" in printed
    assert re.search(r"^step_ms +90 +160 +30$", printed, flags=re.MULTILINE)


def test_rows_of_another_device_stay(turns, tmp_path, monkeypatch):
    monkeypatch.setattr(speed, "CSV", tmp_path / "speed.csv")
    rows = speed.summarise(turns)
    speed.write_csv(rows)
    speed.write_csv([row | {"device": "cuda Other"} for row in rows])
    speed.write_csv([row | {"median": "7"} for row in rows])
    found = study.read(speed.CSV)
    assert len(found) == 2 * len(rows)
    assert {row["median"] for row in found if row["device"] == "cpu Test"} == {"7"}
    assert "7" not in {row["median"] for row in found if row["device"] == "cuda Other"}


def test_a_second_processor_changes_nothing_of_what_is_quoted(tmp_path, monkeypatch):
    quoted = figure("ours", "step_ms")
    monkeypatch.setattr(speed, "CSV", tmp_path / "speed.csv")
    monkeypatch.setattr(sys.modules[__name__], "read", lambda name: study.read(speed.CSV))
    rows = study.read(ROOT / "experiments" / "speed.csv")
    speed.write_csv(rows)
    speed.write_csv([row | {"device": "cpu Other", "median": "1"} for row in rows])
    assert len(study.read(speed.CSV)) == 2 * len(rows)
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


def test_a_turn_with_a_whole_run_times_fifteen_epochs_of_fit(small, monkeypatch):
    pytest.importorskip("resource", reason="Windows tells no peak memory")
    runs = []
    monkeypatch.setattr(utils, "load_mnist", lambda *_: small)
    monkeypatch.setattr(utils, "fit", lambda model, train, test, epochs: runs.append((len(train.labels), epochs)))
    figures = ours.take_turn(256, whole_run=True)
    assert runs == [(256, 15)]
    assert sorted(set(figures) - {"device"}) == METRICS


def test_the_committed_figures_are_complete():
    rows = read("speed.csv")
    assert tuple(rows[0]) == speed.FIELDS
    assert QUOTED in {row["device"] for row in rows}
    assert QUOTED.removeprefix("cpu ") in README
    for device, variant in itertools.product({row["device"] for row in rows}, speed.TURNS):
        metrics = sorted(row["metric"] for row in rows if (row["device"], row["variant"]) == (device, variant))
        assert metrics == [metric for metric in METRICS if metric != "fit_15_s" or variant == "ours"]
    for row in rows:
        assert 0 < float(row["minimum"]) <= float(row["median"]) <= float(row["maximum"])
        assert int(row["turns"]) >= (1 if row["metric"] == "fit_15_s" else 3)


def test_the_floor_counts_the_operations_that_its_file_states():
    (row,) = read("roofline.csv")
    assert f"{floor.operations() / 1e6:.0f}" == row["step_mflop"]


def test_the_profile_of_a_step_finds_every_kind_of_layer(small, monkeypatch):
    on_cpu = utils.Split(*(part.cpu() for part in small[0]))
    monkeypatch.setattr(utils, "load_mnist", lambda *_: (on_cpu, None))
    shares = floor.shares(steps=1)
    assert list(shares) == list(read("roofline.csv")[0])[-3:]
    assert all(share > 0 for share in shares.values())
    assert sum(shares.values()) < 100


def test_the_docstrings_quote_what_was_measured():
    ratios = {row["without"]: float(row["median"]) for row in read("speedups_cpu.csv") if row["metric"] == "ratio"}
    for trick in (keep_freed_memory, spread_narrow_batchnorm):
        assert f"takes {ratios[trick.__name__]:.2f} times as long" in " ".join(trick.__doc__.split())
