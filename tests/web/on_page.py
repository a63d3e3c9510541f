"""What the tests of the page do with it: look at what is there, touch it, and give it another screen."""

import base64
import contextlib

import numpy as np

BLANK = "Nothing drawn yet."


def text_of(browser, name):
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def strokes_of(browser):
    """Return the strokes as lists of points, in units of which the pad is 280 wide."""
    return browser.execute_script("return strokes")


def bytes_of(browser, expression):
    """Return the bytes of the JavaScript `expression`, a Uint8Array."""
    script = (
        f"let text = ''; ({expression}).forEach((byte) => {{ text += String.fromCharCode(byte); }}); return btoa(text)"
    )
    return np.frombuffer(base64.b64decode(browser.execute_script(script)), dtype=np.uint8)


def ink_in_box(browser):
    """Return the strokes as the page inks them for the network, before it scales them, uint8 [160, 160]."""
    return bytes_of(browser, "Uint8Array.from(inkInBox(), (ink) => Math.round(255 * ink))").reshape(160, 160)


def seen(browser):
    """Return the 28×28 pixels that the page makes of its strokes, uint8 [28, 28]."""
    script = "Uint8Array.from(prepare(inkInBox(), 160), (p) => Math.round(255 * p))"
    return bytes_of(browser, script).reshape(28, 28)


def shown_on_pad(browser):
    """Return the brightness of the pad as it is on the screen, uint8 [side, side]."""
    side = browser.execute_script("return pad.width")
    data = bytes_of(browser, "brush.getImageData(0, 0, pad.width, pad.height).data.filter((_, i) => i % 4 === 0)")
    return data.reshape(side, side)


def inside_of_pad(browser):
    """Return where the pad is on the screen without its border: left, top and side in CSS pixels."""
    return browser.execute_script("""
        const box = pad.getBoundingClientRect(), border = parseFloat(getComputedStyle(pad).borderLeftWidth);
        return [box.left + border, box.top + border, box.width - 2 * border];
    """)


def mouse(browser, kind, x, y, buttons=1):
    """Let the left button be "Pressed", "Moved" or "Released" at (x, y) in CSS pixels."""
    place = {"x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1}
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": f"mouse{kind}", **place})


def touch(browser, kind, *fingers):
    """Let the fingers "Start", "Move", "End" or "Cancel", each at (x, y) in CSS pixels."""
    points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(fingers)]
    browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": points})


def resize(browser, width, height, sharpness=1, coarse=False):
    size = {"width": width, "height": height, "deviceScaleFactor": sharpness, "mobile": coarse}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@contextlib.contextmanager
def screen(browser, width, height, sharpness=1, coarse=False):
    """A screen of that size in CSS pixels, `sharpness` pixels to each, that is touched where it is `coarse`."""
    resize(browser, width, height, sharpness, coarse)
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": coarse})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@contextlib.contextmanager
def preference(browser, name, value):
    """What the visitor's system prefers, such as prefers-color-scheme: dark."""
    features = [{"name": name, "value": value}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
