"""How does the draw-a-digit page read pen strokes? `make exp-page_study ARGS=FILE`

In headless Chromium, how many digits that people wrote with a pen are read correctly, alone and side by side. FILE is a
JSON list, packed by gzip, of {"writer", "label", "strokes"}: a stroke is a list of points [x, y], y downwards, and a
writer's digits have a median height of 100. Numbers are composed of two to four digits of one writer. page_strokes.csv
is of 1,903 digits by 255 writers, which takes 4 minutes. They are from UNIPEN, train_r01_v07, category 1a (Guyon,
Schomaker, Plamondon, Liberman and Janet, "UNIPEN project of on-line data exchange and recognizer benchmarks", 1994;
doi:10.5281/zenodo.1195803, CC BY 4.0).
"""

import gzip
import json
import random
from pathlib import Path

import pandas as pd

from experiments import results
from experiments.reader_study import count
from web.browser import open_chrome
from web.build import PAGE

GAPS = (0.3, 0.15, 0.0, -0.1)  # between the boxes of neighbouring digits, in line heights
READ = """
    return arguments[0].map((drawing) => {
      strokes = drawing;
      classifyAndAnnounce();
      const warned = document.querySelectorAll("#warnings li").length > 0;
      return [digits.map(({ answer }) => answer).join(""), warned];
    });
"""


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


def measure_strokes(chrome, file):
    """Yield the rows of page_strokes.csv for the pen strokes in `file`."""
    digits, writers, rng = json.loads(gzip.decompress(file.read_bytes())), {}, random.Random(0)
    for digit in digits:
        writers.setdefault(digit["writer"], []).append(digit)
    drawings = {"digits": [(digit["label"], fit_to_pad(digit["strokes"])) for digit in digits]}
    for own in writers.values():
        for gap in GAPS if len(own) > 5 else ():
            drawings.setdefault(f"numbers, gap {gap:.2f}", []).append(compose(own, gap, rng))
    for name, own in drawings.items():
        readings = read(chrome, own)
        split = sum(len(text) > len(label) for label, text, _ in readings)
        yield {"drawings": name} | count(readings) | {"split": split}


# --- Results ---------------------------------------------------------------------------------------------------------


def check():
    """Return the figures of the comparison with PyTorch, made by `python -m web.build`."""
    row = results.read("page_check").iloc[0]
    images, same_digit = (f"{row[column]:,}" for column in ("images", "same_digit"))
    return {"images": images, "same_digit": same_digit, "difference": row["largest_difference"]}


def main():
    parser = results.parser("Let the draw-a-digit page read pen strokes, in headless Chromium.")
    parser.add_argument("file", type=Path, help="the strokes, .json.gz")
    options = parser.parse_args()
    with open_chrome() as chrome:
        chrome.set_script_timeout(600)  # of forty drawings, on a busy machine
        chrome.get(PAGE.as_uri())
        found = pd.DataFrame(measure_strokes(chrome, options.file))
    print(found.to_string())
    path = results.path_for("page_strokes", options.update)
    found.assign(**results.machine_columns()).to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
