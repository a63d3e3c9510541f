"""Record images/draw.gif: the page draws its example, in headless Chromium. `python -m web.record_page`

The heading, the buttons, the texts and the later stages are hidden, so that the picture fits README's first screen.
"""

import io
from pathlib import Path

from PIL import Image, ImageOps

from web.browser import open_chrome
from web.build import PAGE

GIF = Path(__file__).resolve().parent.parent / "images" / "draw.gif"
WIDTH, HEIGHT, SHOWN = 980, 1000, 0.52  # the browser window, in pixels, and how much smaller the picture is
MARGIN, PAPER = 12, "#fff"  # the picture is light in GitHub's dark theme, too, so it has an edge of its own
HIDDEN = "h1, #about, #tools, #keys, #sight p, #maps > p, .stage:nth-of-type(n + 3), footer"
HIDE = f"document.querySelectorAll('{HIDDEN}').forEach((element) => {{ element.style.display = 'none'; }});"
POINTS_PER_FRAME, FRAME_MS, PAUSE_MS = 2, 100, 1600


def record(chrome):
    """Return screenshots of the page while it draws its example, a list of PIL images."""
    chrome.set_window_size(WIDTH, HEIGHT)
    chrome.get(PAGE.as_uri())
    chrome.execute_script(HIDE)
    bottom = chrome.execute_script("return document.querySelector('main').getBoundingClientRect().bottom")
    size, frames = (round(WIDTH * SHOWN), round(bottom * SHOWN)), []
    total = chrome.execute_script("clear(); return EXAMPLE.length")
    for points in range(POINTS_PER_FRAME, total + POINTS_PER_FRAME, POINTS_PER_FRAME):
        chrome.execute_script("drawExample(arguments[0])", points)
        frame = Image.open(io.BytesIO(chrome.get_screenshot_as_png())).convert("RGB")
        frame = frame.crop((0, 0, WIDTH, bottom)).resize(size, Image.Resampling.LANCZOS)
        frames.append(ImageOps.expand(frame, MARGIN, PAPER))
    return frames


def main():
    with open_chrome() as chrome:
        frames = record(chrome)
    palette = frames[-1].quantize(64)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [*[FRAME_MS] * (len(frames) - 1), PAUSE_MS]
    frames[0].save(GIF, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True)
    print(f"{GIF.name}: {len(frames)} frames, {GIF.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
