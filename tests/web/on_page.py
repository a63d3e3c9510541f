"""Helpers of the page's tests: draw on it, read what it shows, emulate screens and preferences."""

import contextlib
import json
from pathlib import Path

import numpy as np

EMPTY = "Nothing drawn yet."
# Two digits of each kind that people wrote with a pen; the file names their source.
WRITTEN = {
    int(digit): drawings
    for digit, drawings in json.loads(Path(__file__).with_name("strokes.json").read_text())["digits"].items()
}
STROKES = {digit: drawings[0] for digit, drawings in WRITTEN.items()}


# --- Read ---


def text_of(browser, name):
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def answer_of(browser):
    """Return the digits of the answer, "" if there is none."""
    return browser.execute_script("return digits.map((digit) => digit.answer).join('')")


def warnings_of(browser):
    return browser.execute_script("return [...document.querySelectorAll('#warnings li')].map((li) => li.textContent)")


def strokes_of(browser):
    """Return the strokes as lists of points; the pad is 280 units wide."""
    return browser.execute_script("return strokes")


def ink_of(browser):
    """Return the ink of the strokes before it is scaled for the network, uint8 [160, 160]."""
    ink = browser.execute_script("return Array.from(inkOf(strokes), (ink) => Math.round(255 * ink))")
    return np.array(ink, dtype=np.uint8).reshape(160, 160)


def network_input(browser):
    """Return the network's input for the strokes, uint8 [28, 28]."""
    pixels = browser.execute_script("return Array.from(toMnistFormat(inkOf(strokes)), (p) => Math.round(255 * p))")
    return np.array(pixels, dtype=np.uint8).reshape(28, 28)


def pad_pixels(browser):
    """Return the brightness of the pad's pixels, uint8 [side, side]."""
    pixels = browser.execute_script(
        "return Array.from(brush.getImageData(0, 0, pad.width, pad.height).data.filter((_, i) => i % 4 === 0))"
    )
    side = round(len(pixels) ** 0.5)
    return np.array(pixels, dtype=np.uint8).reshape(side, side)


def inside_of_pad(browser):
    """Return left, top and side of the pad without its border, in CSS pixels."""
    return browser.execute_script("""
        const { left, top, width } = pad.getBoundingClientRect(), border = pad.clientLeft;
        return [left + border, top + border, width - 2 * border];
    """)


# --- Draw ---


def scaled(strokes, size, centre=(140, 140)):
    """Return `strokes` with a longer side of `size` units around `centre`."""
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


def draw(browser, strokes, kind="mouse"):
    """Draw `strokes`, in units of the pad, as a person with a `kind` of pointer ("mouse", "touch", "pen") would."""
    from selenium.webdriver.common.action_chains import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput

    pad = browser.find_element("id", "pad")
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", pad)
    width = pad.rect["width"]
    for stroke in strokes:
        actions = ActionBuilder(browser, mouse=PointerInput(kind, kind), duration=5)
        positions = [(round((x - 140) * width / 280), round((y - 140) * width / 280)) for x, y in stroke]
        actions.pointer_action.move_to(pad, *positions[0])
        actions.pointer_action.pointer_down()
        for position in positions[1:]:
            actions.pointer_action.move_to(pad, *position)
        actions.pointer_action.pointer_up()
        actions.perform()


def mouse(browser, kind, x, y, pointer="mouse"):
    """The left mouse button, or a "pen", is "Pressed", "Moved" or "Released" at (x, y) in CSS pixels."""
    event = {"x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1, "pointerType": pointer}
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": f"mouse{kind}", **event})


def touch(browser, kind, *fingers):
    """The fingers "Start", "Move", "End" or "Cancel" a touch, each at (x, y) in CSS pixels."""
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})


def drag(browser, *positions, pointer="mouse"):
    """Draw a stroke with the mouse, or a "pen", through `positions`, (x, y) in CSS pixels."""
    mouse(browser, "Pressed", *positions[0], pointer)
    for position in positions[1:]:
        mouse(browser, "Moved", *position, pointer)
    mouse(browser, "Released", *positions[-1], pointer)


def swipe(browser, *positions):
    """Draw a stroke with a finger through `positions`, (x, y) in CSS pixels."""
    touch(browser, "Start", positions[0])
    for position in positions[1:]:
        touch(browser, "Move", position)
    touch(browser, "End")


def next_frame(browser):
    """Wait until the page has drawn what happened so far."""
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def press(browser, name):
    """Click on the button `name`."""
    browser.find_element("id", name).click()


def type_on_pad(browser, *keys, held=(), focus=True):
    """Type `keys` on the pad, or with `focus=False` anywhere, while the keys `held` are held.

    Each key is a character or a name in Selenium's `Keys`, such as "SPACE".
    """
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    if focus:
        browser.execute_script("pad.focus()")
    actions, held = ActionChains(browser), [getattr(Keys, key) for key in held]
    for key in held:
        actions.key_down(key)
    actions.send_keys(*[getattr(Keys, key, key) for key in keys])
    for key in held:
        actions.key_up(key)
    actions.perform()


# --- Emulate ---


def resize(browser, width, height, pixel_ratio=1, is_phone=False):
    metrics = {"width": width, "height": height, "deviceScaleFactor": pixel_ratio, "mobile": is_phone}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@contextlib.contextmanager
def screen(browser, width, height, pixel_ratio=1, is_phone=False):
    """Emulate a screen of that size in CSS pixels; a phone's is touched."""
    resize(browser, width, height, pixel_ratio, is_phone)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": is_phone})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextlib.contextmanager
def preference(browser, name, value):
    """Emulate a media feature, such as prefers-color-scheme: dark."""
    features = [{"name": name, "value": value}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
