"""Helpers of the page's tests: draw on it, read what it shows, emulate screens and preferences.

Points are in units of the pad, which is 280 wide and high, without its border.
"""

import json
from pathlib import Path

import numpy as np

EMPTY = "Nothing drawn yet."
# Two digits of each kind that people wrote with a pen; the file names their source.
WRITTEN = json.loads(Path(__file__).with_name("strokes.json").read_text())["digits"]
STROKES = {int(digit): drawings[0] for digit, drawings in WRITTEN.items()}


# --- Read ---


def js(browser, expression, *arguments):
    return browser.execute_script(f"return {expression}", *arguments)


def text_of(browser, name):
    return js(browser, "document.getElementById(arguments[0]).textContent", name)


def answer_of(browser):
    """Return the digits of the answer, "" if there is none."""
    return js(browser, "digits.map((digit) => digit.answer).join('')")


def warnings_of(browser):
    return js(browser, "[...document.querySelectorAll('#warnings li')].map((li) => li.textContent)")


def colour_at(browser, x, y):
    """Return red, green and blue of a point of the pad, from 0 to 255."""
    script = "Array.from(brush.getImageData(...[...arguments].map((x) => x * pad.width / 280), 1, 1).data).slice(0, 3)"
    return js(browser, script, x, y)


# --- Draw ---


def scaled(strokes, size, centre=(140, 140)):
    """Return `strokes` with a longer side of `size` around `centre`."""
    points = np.concatenate([np.asarray(stroke, dtype=float) for stroke in strokes])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = size / (high - low).max()
    return [(np.array(centre) + scale * (np.asarray(stroke) - (low + high) / 2)).tolist() for stroke in strokes]


def side_by_side(*digits, size=80):
    """Return the strokes of `digits`, a list of lists of strokes, evenly spaced from left to right."""
    step = 280 / len(digits)
    drawings = [scaled(strokes, size, (step * (i + 0.5), 140)) for i, strokes in enumerate(digits)]
    return [stroke for drawing in drawings for stroke in drawing]


def show(browser, strokes):
    """Put `strokes` on the page at once, as if they had been drawn."""
    browser.execute_script("strokes = arguments[0]; classifyAndAnnounce();", strokes)


def move(browser, *points, kind="mouse", down=True, up=True):
    """Move a pointer, "mouse", "touch" or "pen", in any browser: it goes down at the first point, up at the last.

    With `up=False` it stays down, and the next stroke continues with `down=False`.
    """
    from selenium.webdriver.common.action_chains import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    pad = browser.find_element("id", "pad")
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", pad)
    unit = (pad.rect["width"] - 4) / 280  # without its border
    actions = ActionBuilder(browser, mouse=PointerInput(kind, kind), duration=5)
    for i, (x, y) in enumerate(points):
        actions.pointer_action.move_to(pad, round((x - 140) * unit), round((y - 140) * unit))
        if down and i == 0:
            actions.pointer_action.pointer_down()
    if up:
        actions.pointer_action.pointer_up()
    actions.perform()


def draw(browser, strokes, kind="mouse"):
    """Draw `strokes` as a person would."""
    for stroke in strokes:
        move(browser, *stroke, kind=kind)


def next_frame(browser):
    """Wait until the page has drawn what happened so far."""
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def press(browser, name):
    """Click on the button `name`."""
    browser.find_element("id", name).click()


def type_keys(browser, *keys, on=None):
    """Type characters, or names in Selenium's `Keys` such as "SPACE", where the focus is, or on the element `on`.

    "CONTROL" and its like are held until the end.
    """
    from selenium.webdriver.common.keys import Keys

    target = browser.find_element("id", on) if on else browser.switch_to.active_element
    target.send_keys(*[getattr(Keys, key, key) for key in keys])


# --- Emulate, until the end of the test ---


def screen(browser, width, height, pixel_ratio=1, is_phone=False):
    """Emulate a screen of that size in CSS pixels; a phone's is touched."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": pixel_ratio, "mobile": is_phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": is_phone})
    next_frame(browser)


def preference(browser, name, value):
    """Emulate a media feature, such as prefers-color-scheme: dark."""
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": name, "value": value}]})
