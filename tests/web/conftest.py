"""The page, open in a browser."""

import pytest

from web import build


@pytest.fixture
def open_page(browser):
    """The browser with the page opened and cleared. Fails if the page logs an error, such as a forbidden request."""
    browser.get_log("browser")
    browser.get(build.PAGE.as_uri())
    browser.execute_script("clear()")
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
