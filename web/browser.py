"""Open headless Chromium, for tests, measurements and recordings of the page."""

import shutil

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
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Without a path, Selenium would search the network for a driver.
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    chrome.set_window_size(1000, 1400)
    return chrome
