"""Time the draw-a-digit page in headless Chromium: `make exp-page_timing`

Writes experiments/results/page_timing.csv, the median times of a forward pass (`forward_ms`) and of a full update
(`update_ms`: draw the pad, preprocess, classify, show everything).
"""

import os
import statistics

from experiments import RESULTS, timing
from web.browser import open_chrome
from web.build import PAGE
from web.check import read_check

CSV = RESULTS / "page_timing.csv"
SCRIPT = """
    const pixels = new Float32Array(784).map((_, i) => (i % 7) / 7);
    strokes = [[[150, 48], [82, 120], [112, 226], [203, 140], [150, 48]]];
    const time = (call) => Array.from({ length: 60 }, () => {
      const start = performance.now();
      call();
      return performance.now() - start;
    }).slice(10);
    // Without the digits it knows, `classify` starts from the strokes.
    return [time(() => forward(pixels)), time(() => { digits = []; classify(); })];
"""


def table():
    """Return the times as a Markdown table."""
    (row,) = timing.read(CSV)
    where = f"{row['browser']}, {row['cores']} cores of {row['processor']}"
    lines = [f"| median, in {where} | ms |", "|---|---|"]
    lines += [
        f"| forward pass | {row['forward_ms']} |",
        f"| full update after a point of a stroke | {row['update_ms']} |",
    ]
    return "\n".join(lines)


def check():
    """Return the figures of the comparison with PyTorch, made by `python -m web.build`."""
    row = read_check()
    images, same_digit = (f"{int(row[column]):,}" for column in ("images", "same_digit"))
    return {"images": images, "same_digit": same_digit, "difference": row["largest_difference"]}


def main():
    with open_chrome() as chrome:
        chrome.get(PAGE.as_uri())
        forward_ms, update_ms = (statistics.median(times) for times in chrome.execute_script(SCRIPT))
        browser = f"Chromium {chrome.capabilities['browserVersion'].split('.')[0]}"
    row = {"forward_ms": f"{forward_ms:.1f}", "update_ms": f"{update_ms:.1f}"}
    row |= {"browser": browser, "processor": timing.processor(), "cores": os.cpu_count()}
    timing.write_rows(CSV, [row])
    print(table())


if __name__ == "__main__":
    main()
