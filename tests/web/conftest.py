"""What the tests of the page share: the network, and the page opened in a browser."""

import json

import pytest

from model import load_net
from web import build as page


@pytest.fixture(scope="session")
def net():
    return load_net()


@pytest.fixture
def open_page(browser):
    """The page, opened from the disk; afterwards: it logged no error and asked for nothing else."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.PAGE.as_uri())
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert set(asked) == {page.PAGE.as_uri()}
