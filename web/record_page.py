"""Record images/draw.gif: digits drawn on the real page in headless Chromium. `python -m web.record_page`

The heading, the buttons, the texts and the later stages are hidden, so that the picture fits README's first screen.
"""

import io
from pathlib import Path

from PIL import Image

from experiments.synthetic_photos import STROKES, smooth
from web.browser import open_chrome
from web.build import PAGE

GIF = Path(__file__).resolve().parent.parent / "images" / "draw.gif"
DIGITS = (5, 2)
WIDTH, HEIGHT, SHOWN = 980, 1000, 0.52  # the browser window, in pixels, and how much smaller the picture is
HIDDEN = "header, #tools, #keys, #sight p, #maps > p, .stage:nth-of-type(n + 3), footer"
HIDE = f"document.querySelectorAll('{HIDDEN}').forEach((element) => {{ element.style.display = 'none'; }});"
POINTS_PER_FRAME, FRAME_MS, PAUSE_MS = 10, 100, 1600


def frames_of(chrome, digit):
    """Yield a screenshot for every few points of `digit`, drawn stroke after stroke."""
    strokes = [smooth(stroke).tolist() for stroke in STROKES[digit]]
    for number, stroke in enumerate(strokes):
        for end in range(POINTS_PER_FRAME, len(stroke) + POINTS_PER_FRAME, POINTS_PER_FRAME):
            chrome.execute_script("strokes = arguments[0]; classify();", [*strokes[:number], stroke[:end]])
            yield Image.open(io.BytesIO(chrome.get_screenshot_as_png())).convert("RGB")


def main():
    frames, durations = [], []
    with open_chrome() as chrome:
        chrome.set_window_size(WIDTH, HEIGHT)
        chrome.get(PAGE.as_uri())
        chrome.execute_script(HIDE)
        bottom = chrome.execute_script("return document.querySelector('main').getBoundingClientRect().bottom")
        size = round(WIDTH * SHOWN), round(bottom * SHOWN)
        for digit in DIGITS:
            for frame in frames_of(chrome, digit):
                frames.append(frame.crop((0, 0, WIDTH, bottom)).resize(size, Image.Resampling.LANCZOS))
                durations.append(FRAME_MS)
            durations[-1] = PAUSE_MS
    palette = frames[-1].quantize(64)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    frames[0].save(GIF, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    print(f"{GIF.name}: {len(frames)} frames, {GIF.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
