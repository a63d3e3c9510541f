"""How long does the page take to classify a digit? `make deploy`

Opens web/draw.html in headless Chromium and times, in the page, a forward pass alone, and all that a stroke's point
sets off: painting, preparing, classifying and showing. Medians in milliseconds, to experiments/results/page_timing.csv. Takes README's
picture of the page as well, images/draw.png.
"""

import statistics
from pathlib import Path

from experiments import timing as bench
from reader import ROOT
from reader.samples import synthetic_photos as make
from tools.browser import open_chrome
from web import build as page

HERE = Path(__file__).resolve().parent
CSV, PICTURE = HERE / "results" / "page_timing.csv", ROOT / "images" / "draw.png"
SCRIPT = """
    const pixels = new Float32Array(784).map((_, i) => (i % 7) / 7);
    strokes = [[[150, 48], [82, 120], [112, 226], [203, 140], [150, 48]]];
    const time = (call) => Array.from({ length: 60 }, () => {
      const start = performance.now();
      call();
      return performance.now() - start;
    }).slice(10);
    return [time(() => forward(pixels)), time(classify)];
"""


def main():
    with open_chrome() as chrome:
        chrome.get(page.PAGE.as_uri())
        forward, point = (statistics.median(times) for times in chrome.execute_script(SCRIPT))
        strokes = [make.smooth(stroke).tolist() for stroke in make.STROKES[5]]
        chrome.execute_script("strokes = arguments[0]; classifyAndTell();", strokes)
        chrome.set_window_size(1000, 1400)
        chrome.save_screenshot(PICTURE)
    found = {"bytes": page.PAGE.stat().st_size, "forward_ms": f"{forward:.1f}", "point_ms": f"{point:.1f}"}
    bench.write_row(CSV, found)
    print(f"{page.PAGE.name}: {found}")


if __name__ == "__main__":
    main()
