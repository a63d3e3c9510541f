"""How fast is the draw-a-digit page, how does it read pen strokes, and how often does it warn? `make exp-page_study`

    timing     a forward pass, and a full update after a point of a stroke (page_timing.csv)
    shapes     100 each of crosses, hearts and scribbles, which should get a warning (page_warnings.csv)
    strokes    digits in `--strokes FILE` that people wrote with a pen, alone and side by side (page_strokes.csv)

In headless Chromium. It measures timing and shapes, and strokes if there is a FILE, in 4 minutes. FILE is a JSON list,
packed by gzip, of {"writer", "label", "strokes"}: a stroke is a list of points [x, y], y downwards, and a writer's
digits have a median height of 100. The results are those of 1,903 digits by 255 writers from UNIPEN, train_r01_v07,
category 1a (Guyon, Schomaker, Plamondon, Liberman and Janet, "UNIPEN project of on-line data exchange and recognizer
benchmarks", 1994; doi:10.5281/zenodo.1195803, CC BY 4.0). Numbers are composed of two to four digits of one writer.
"""

import gzip
import json
import os
import random
import statistics
from pathlib import Path

import numpy as np
import pandas as pd

from experiments import results, stats
from experiments.reader_study import count
from experiments.synthetic_photos import smooth
from web.browser import open_chrome
from web.build import PAGE
from web.check import read_check

CALLS = 50  # timed, after ten to warm up
GAPS = (0.3, 0.15, 0.0, -0.1)  # between the boxes of neighbouring digits, in line heights
TIMING = """
    const pixels = new Float32Array(784).map((_, i) => (i % 7) / 7);
    const time = (call) => Array.from({ length: arguments[0] + 10 }, (_, i) => {
      const start = performance.now();
      call(i);
      return performance.now() - start;
    }).slice(10);
    const stroke = [[150, 48], [82, 120], [112, 226], [203, 140]];
    const addPoint = (i) => { strokes = [[...stroke, [150 + i / 100, 48]]]; classify(); };
    return [time(() => forward(pixels)), time(addPoint)];
"""
READ = """
    return arguments[0].map((drawing) => {
      strokes = drawing;
      classifyAndAnnounce();
      const warned = document.querySelectorAll("#warnings li").length > 0;
      return [digits.map(({ answer }) => answer).join(""), warned];
    });
"""

# --- Drawings --------------------------------------------------------------------------------------------------------


def tremble(strokes, generator):
    """Return `strokes` with random size, slant, rotation and tremor."""
    a, b, c, d = generator.normal([1, 0, 0, 1], 0.1)
    size = generator.uniform(0.4, 0.9)
    moved = [(np.asarray(stroke) - 140) @ [[a, b], [c, d]] * size + 140 for stroke in strokes]
    return [(points + np.cumsum(generator.normal(0, 0.5, points.shape), axis=0)).tolist() for points in moved]


def cross(generator):
    """Return an × or a +."""
    shape = [[(50, 50), (230, 230)], [(230, 50), (50, 230)]]
    if generator.random() < 0.5:
        shape = [[(140, 40), (140, 240)], [(40, 140), (240, 140)]]
    return tremble([np.linspace(*line, 20) for line in shape], generator)


def heart(generator):
    """Return a heart, drawn in one stroke from its notch."""
    width, notch = generator.uniform(80, 100), generator.uniform(25, 50)
    half = np.array([(0, 0), (30, -notch), (width, 10 - notch), (width, 30), (50, 90), (0, 140)])
    right, left = (smooth((half * (sign, 1) + [140, 100]).tolist()) for sign in (1, -1))
    return tremble([np.concatenate([right, left[::-1]])], generator)


def scribble(generator):
    """Return a curve through random points."""
    return tremble([smooth(generator.uniform(40, 240, (int(generator.integers(8, 30)), 2)).tolist())], generator)


def box(strokes):
    """Return the bounding box of `strokes`: left, right, top, bottom."""
    xs, ys = zip(*(point for stroke in strokes for point in stroke), strict=True)
    return min(xs), max(xs), min(ys), max(ys)


def place(strokes, scale, left, top):
    """Return `strokes`, scaled, with their box at `left` and `top`."""
    x0, _, y0, _ = box(strokes)
    return [[[left + scale * (x - x0), top + scale * (y - y0)] for x, y in stroke] for stroke in strokes]


def fit_to_pad(strokes, width=200, height=200):
    """Return `strokes` in the middle of the pad of 280×280, as large as `width` and `height` allow."""
    left, right, top, bottom = box(strokes)
    scale = min(width / max(right - left, 1), height / max(bottom - top, 1))
    return place(strokes, scale, 140 - scale * (right - left) / 2, 140 - scale * (bottom - top) / 2)


def compose(digits, gap, rng):
    """Return a number's label and strokes, of digits of one writer; their middles are on one line."""
    strokes, label, left = [], "", 0
    for digit in rng.sample(digits, min(len(digits), rng.choice((2, 2, 3, 4)))):
        x0, x1, y0, y1 = box(digit["strokes"])
        scale = 1 if 50 < y1 - y0 < 160 or x1 - x0 > 3 * (y1 - y0) else 100 / (y1 - y0)
        strokes += place(digit["strokes"], scale, left, -scale * (y1 - y0) / 2)
        left += scale * (x1 - x0) + 100 * gap
        label += digit["label"]
    return label, fit_to_pad(strokes, width=250)


# --- Measure ---------------------------------------------------------------------------------------------------------


def read(chrome, drawings):
    """Return (label, the page's answer, whether it warns) of `drawings`, pairs of a label and strokes."""
    readings = []
    for start in range(0, len(drawings), 40):
        readings += chrome.execute_script(READ, [strokes for _, strokes in drawings[start : start + 40]])
    return [(label, *reading) for (label, _), reading in zip(drawings, readings, strict=True)]


def measure_timing(chrome, options):
    """Yield the row of page_timing.csv."""
    forward, update = (f"{statistics.median(times):.1f}" for times in chrome.execute_script(TIMING, CALLS))
    browser = f"Chromium {chrome.capabilities['browserVersion'].split('.')[0]}"
    yield {"forward_ms": forward, "update_ms": update, "n": CALLS, "browser": browser, "cores": os.cpu_count()}


def measure_shapes(chrome, options):
    """Yield the rows of page_warnings.csv."""
    for name, draw in {"crosses": cross, "hearts": heart, "scribbles": scribble}.items():
        readings = read(chrome, [("none", draw(np.random.default_rng(seed))) for seed in range(100)])
        yield {"drawings": name, "n": len(readings), "with a warning": sum(warned for *_, warned in readings)}


def measure_strokes(chrome, options):
    """Yield the rows of page_strokes.csv."""
    digits, writers, rng = json.loads(gzip.decompress(options.strokes.read_bytes())), {}, random.Random(0)
    for digit in digits:
        writers.setdefault(digit["writer"], []).append(digit)
    drawings = {"digits": [(digit["label"], fit_to_pad(digit["strokes"])) for digit in digits]}
    for own in writers.values():
        for gap in GAPS if len(own) > 5 else ():
            drawings.setdefault(f"numbers, gap {gap:.2f}", []).append(compose(own, gap, rng))
    for name, own in drawings.items():
        readings = read(chrome, own)
        yield (
            {"drawings": name} | count(readings) | {"split": sum(len(text) > len(label) for label, text, _ in readings)}
        )


PARTS = {  # part → its file, what measures it
    "timing": ("page_timing", measure_timing),
    "shapes": ("page_warnings", measure_shapes),
    "strokes": ("page_strokes", measure_strokes),
}

# --- Results ---------------------------------------------------------------------------------------------------------


def timing_table():
    """Return the times as a Markdown table."""
    row = results.read("page_timing").iloc[0]
    where = f"{row['browser']}, {row['cores']} cores of {row['device'].removeprefix('cpu ')}"
    rows = ("forward pass", row["forward_ms"]), ("full update after a point of a stroke", row["update_ms"])
    return stats.markdown((f"median, in {where}", "ms"), rows)


def check():
    """Return the figures of the comparison with PyTorch, made by `python -m web.build`."""
    row = read_check()
    images, same_digit = (f"{int(row[column]):,}" for column in ("images", "same_digit"))
    return {"images": images, "same_digit": same_digit, "difference": row["largest_difference"]}


def main():
    parser = results.parser("Measure the draw-a-digit page in headless Chromium.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, help="(default: timing shapes, and strokes if given)")
    parser.add_argument("--strokes", type=Path, metavar="FILE", help="real pen strokes")
    options = parser.parse_args()
    with open_chrome() as chrome:
        chrome.set_script_timeout(600)  # of forty drawings, on a busy machine
        chrome.get(PAGE.as_uri())
        for part in options.parts or ["timing", "shapes"] + ["strokes"] * bool(options.strokes):
            name, measure = PARTS[part]
            found = pd.DataFrame(measure(chrome, options))
            print(found.to_string())
            found = found.assign(**results.machine_columns())
            found.to_csv(results.path_for(name, options.update), index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
