"""What experiments/README.md tells of speed is what the files beside it hold: tables and figures in sentences."""

import re

import pytest
from helpers import ROOT
from told import FOLDER, README, TEXT

from experiments import gpu, speed
from experiments import runner as study
from experiments import speedups as tricks

DEVICE = "cpu AMD EPYC"  # whose speed is told first; speed.csv may hold others as well
GPU = "cuda NVIDIA H100 80GB HBM3"


def one(rows, **wanted):
    """Return the one of `rows` that has all the values in `wanted`."""
    (row,) = (row for row in rows if wanted.items() <= row.items())
    return row


def figure(variant, metric, column="median", device=DEVICE):
    """Return one figure of speed.csv, on the processor whose speed is told first or on another."""
    return float(one(study.read(speed.CSV), device=device, variant=variant, metric=metric)[column])


NAMES = {
    "baseline": "DataLoader baseline, no dropout, as ours",
    "baseline-reference": "DataLoader baseline, the reference's dropout 0.05",
    "ours": "this repository",
}


@pytest.mark.parametrize("variant", NAMES)
def test_the_speed_is_that_of_the_file(variant):
    name, step = NAMES[variant], figure(variant, "step_ms")
    low, high = (figure(variant, "step_ms", column) for column in ("minimum", "maximum"))
    data, epoch, evaluation = (figure(variant, metric) for metric in ("data_ms", "epoch_s", "evaluate_s"))
    ratio = step / figure("ours", "step_ms")
    seconds = f"{data:.1f} ms | {epoch:.0f} s | {evaluation:.2f} s"
    assert f"| {name} | {step:.0f} ms ({low:.0f} to {high:.0f}) | {seconds} | {ratio:.1f} × |" in README
    startup, latency, peak = (figure(variant, metric) for metric in ("startup_s", "latency_ms", "peak_mb"))
    assert f"| {name} | {startup:.1f} s | {latency:.1f} ms | {peak:,.0f} MB |" in README


@pytest.mark.parametrize("variant", NAMES)
def test_the_speed_on_a_gpu_is_that_of_the_file(variant):
    def own(metric, column="median"):
        return figure(variant, metric, column, GPU)

    step = f"{own('step_ms'):.1f} ms ({own('step_ms', 'minimum'):.1f} to {own('step_ms', 'maximum'):.1f})"
    seconds = f"{own('data_ms'):.1f} ms | {own('epoch_s'):.1f} s | {own('evaluate_s'):.2f} s"
    ratio = own("step_ms") / figure("ours", "step_ms", device=GPU)
    assert f"| {NAMES[variant]} | {step} | {seconds} | {ratio:.1f} × |" in README


def test_what_was_asked_of_a_gpu_is_missed():
    epochs = [figure(variant, "epoch_s", device=GPU) for variant in ("baseline", "baseline-reference", "ours")]
    plain, reference = (f"{epoch / epochs[2]:.1f} times" for epoch in epochs[:2])
    assert f"the baseline's takes {plain} as long as ours, with the reference's dropout {reference} as well" in TEXT
    whole = figure("ours", "fit_15_s", device=GPU)
    assert figure("ours", "fit_15_s", "turns", GPU) == 1
    assert f"trained fifteen epochs in {whole:.1f} s; that was one turn" in TEXT
    assert f"[{whole:.1f} s](experiments/README.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    assert max(epochs) < 20 * epochs[2]
    assert whole > 5
    assert "an epoch 20 times faster and fifteen epochs in 5 s: both are missed" in TEXT


def test_the_speed_ups_of_the_gpu_are_those_of_the_file():
    rows = study.read(gpu.CSV)
    assert {row["device"] for row in rows} == {GPU}
    for without in gpu.WITHOUT:
        step, ratio = (one(rows, without=without, metric=metric) for metric in ("step_ms", "ratio"))
        cells = "{:.2f} | {:.2f} to {:.2f}".format(*(float(ratio[c]) for c in ("median", "minimum", "maximum")))
        name = without if without == gpu.FULL else f"`{without}`"
        assert f"| {name} | {float(step['median']):.2f} ms | {cells} |" in README
        assert ratio["turns"] == "5"
    floor, kernels, busy = (
        float(one(rows, without=gpu.FULL, metric=metric)["median"]) for metric in ("floor_ms", "kernels", "busy_ms")
    )
    assert f"the step's convolutions would take {floor:.3f} ms" in TEXT
    assert f"a step launches {kernels:.0f} kernels, one after another, which run for {busy:.2f} ms in all" in TEXT


def test_how_much_longer_the_baselines_step_takes_is_so():
    ours = figure("ours", "step_ms")
    assert 2 < figure("baseline", "step_ms") / ours < 3 < figure("baseline-reference", "step_ms") / ours
    assert "The baseline's step takes more than twice as long, with the reference's dropout more than three" in TEXT


@pytest.mark.parametrize(("metric", "unit", "digits"), [("startup_s", "s", 1), ("latency_ms", "ms", 2)])
def test_where_no_difference_was_found_the_ranges_overlap(metric, unit, digits):
    (low, high), (own_low, own_high) = (
        [figure(variant, metric, column) for column in ("minimum", "maximum")] for variant in ("baseline", "ours")
    )
    assert low < own_high
    assert own_low < high
    there, here = (f"{a:.{digits}f} to {b:.{digits}f} {unit}" for a, b in ((low, high), (own_low, own_high)))
    assert f"({there} there, {here} here)" in TEXT


def test_where_the_baseline_is_better_it_says_so():
    assert figure("baseline", "peak_mb") < figure("ours", "peak_mb")
    assert "The baseline needs less memory at its peak" in TEXT


def test_the_whole_run_is_told_with_its_one_turn():
    assert figure("ours", "fit_15_s", "turns") == 1
    whole = f"fifteen epochs in {figure('ours', 'fit_15_s') / 60:.1f} minutes; that was one turn, not a median"
    assert whole in TEXT


def test_the_speed_ups_are_those_of_the_file():
    rows = study.read(tricks.CSV)
    for without in tricks.WITHOUT:
        step, ratio, faults = (
            one(rows, without=without, metric=metric) for metric in ("step_ms", "ratio", "page_faults")
        )
        spread = [float(ratio[column]) for column in ("median", "minimum", "maximum")]
        name = without if without == tricks.FULL else f"`{without}`"
        cells = "{:.2f} | {:.2f} to {:.2f}".format(*spread)
        row = f"| {name} | {float(step['median']):.1f} ms | {cells} | {float(faults['median']):,.0f} |"
        assert row in README
        assert f"in {ratio['turns']} turns" in TEXT


def test_a_speed_up_is_told_as_one_only_where_every_turn_shows_it():
    ratios = {row["without"]: row for row in study.read(tricks.CSV) if row["metric"] == "ratio"}
    shown = {without for without, row in ratios.items() if float(row["minimum"]) > 1}
    assert shown == {"spread_narrow_batchnorm", "channels_last"}
    assert "In every turn the step is slower without spreading, and without `channels_last`." in TEXT
    memory = ratios["keep_freed_memory"]
    assert float(memory["minimum"]) < 1 < float(memory["median"])
    assert "For the memory the range includes 1: at the median the step is slower without it" in TEXT
    steps = {row["without"]: float(row["median"]) for row in study.read(tricks.CSV) if row["metric"] == "step_ms"}
    assert max(steps, key=steps.get) == "spread_narrow_batchnorm"
    assert "with `channels_last` alone the step is slowest" in TEXT


def test_the_floor_is_that_of_the_file():
    (floor,) = study.read(FOLDER / "roofline.csv")
    for quoted in (
        f"{floor['step_mflop']} million floating-point operations",
        f"a large matrix product does {floor['matmul_gflop_per_s']} billion a second",
        f"At that speed, a step would take {floor['floor_ms']} ms",
        f"Convolution takes {floor['convolution_percent']} %",
        f"BatchNorm takes {floor['batch_norm_percent']} % and ReLU {floor['relu_percent']} %",
    ):
        assert quoted in TEXT


def test_processor_and_versions_are_those_of_the_files():
    rows = study.read(speed.CSV)
    quoted = [row for row in rows if row["device"] == DEVICE]
    assert {row["torch"].split("+")[0] for row in quoted} == {re.search(r"PyTorch ([\d.]+\d)", TEXT)[1]}
    assert {row["cores"] for row in quoted} == {re.search(r"on (\d) cores of an AMD EPYC", TEXT)[1]}
    other = [*study.read(tricks.CSV), *study.read(FOLDER / "roofline.csv")]
    assert {(row["device"], row["cores"]) for row in other} == {("cpu Intel(R) Xeon(R) Processor", "2")}
    assert {row["torch"] for row in other} == {row["torch"] for row in quoted}
    assert "layout. On 2 cores of an Intel Xeon processor" in TEXT
    there = [row for row in rows + study.read(gpu.CSV) if row["device"] == GPU]
    cores, torch = re.search(r"is on an NVIDIA H100 with (\d+) cores beside it, with PyTorch ([\d.]+\d)", TEXT).groups()
    assert {(row["cores"], row["torch"].split("+")[0]) for row in there} == {(cores, torch)}
