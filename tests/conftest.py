"""What several test files share: the data, loaded once, and a small piece of it for quick training."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import torch

import utils

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "experiments")]

from browser import MISSING, has_chrome, open_chrome  # noqa: E402


def pytest_collection_modifyitems(items):
    for item in items:
        if "browser" in item.fixturenames:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def device():
    return utils.pick_device()


@pytest.fixture(scope="session")
def mnist(device):
    return utils.load_mnist(ROOT / "data", device)


@pytest.fixture(scope="session")
def small(mnist):
    """Ten batches of training images and 500 test images."""
    train, test = mnist
    return utils.Split(train.images[:1280], train.labels[:1280]), utils.Split(test.images[:500], test.labels[:500])


@pytest.fixture
def raw(tmp_path):
    """A folder as `load_mnist` wants it, with the four archives."""
    folder = tmp_path / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name in utils.ARCHIVES:
        shutil.copy(ROOT / "data" / "MNIST" / "raw" / name, folder)
    return folder


@pytest.fixture(params=[1, 2], ids="{} threads".format)
def threads(request):
    """Each number of threads that makes a difference: from two on, narrow BatchNorm layers get another layout."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


class Hostile:
    """What would leave a mark, a folder, if it were unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


# --- A browser ---


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, driven through Selenium. Where there is none, tests are skipped; in CI they fail."""
    pytest.importorskip("selenium", reason="needs the package selenium")
    if not has_chrome() and not os.environ.get("CI"):
        pytest.skip(MISSING)
    with open_chrome() as chrome:
        yield chrome


def draw(browser, strokes, kind="mouse"):
    """Draw `strokes`, in pixels of 280×280, onto the page's pad as a hand with a `kind` of pointer would."""
    from selenium.webdriver.common.action_chains import ActionBuilder
    from selenium.webdriver.common.actions.pointer_input import PointerInput
    from selenium.webdriver.common.by import By

    pad = browser.find_element(By.ID, "pad")
    browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", pad)
    width = pad.rect["width"]
    for stroke in strokes:
        actions = ActionBuilder(browser, mouse=PointerInput(kind, kind), duration=5)
        places = [(round((x - 140) * width / 280), round((y - 140) * width / 280)) for x, y in stroke]
        actions.pointer_action.move_to(pad, *places[0])
        actions.pointer_action.pointer_down()
        for place in places[1:]:
            actions.pointer_action.move_to(pad, *place)
        actions.pointer_action.pointer_up()
        actions.perform()
