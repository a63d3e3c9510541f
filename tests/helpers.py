"""What test files share by import: the repository's folder, small networks and trainers, a hand that draws."""

import functools
import os
from pathlib import Path

import torch

import utils
from model import Net
from training.trainer import Trainer

ROOT = Path(__file__).resolve().parent.parent

RECIPE = {"batch_size": 128, "optimizers": utils.muon_and_adam, "lr": 0.05, "averaging": 0.9}


def make_net(seed=0):
    torch.manual_seed(seed)
    return Net()


def make_trainer(split, steps=20, **recipe):
    trainer = Trainer(make_net(), split, utils.one_cycle(steps), **(RECIPE | recipe))
    trainer.rows.copy_(torch.arange(128))
    trainer.affines.copy_(utils.no_affines(len(split.labels)))
    trainer.lr.copy_(trainer.rates.max(dim=0).values)
    return trainer


@functools.cache
def photographs(factor, level):
    """Return the pictures of a level of experiments/photo_robustness.py with their digits, a list."""
    from experiments import photo_robustness as pictures

    _, test = utils.load_mnist(ROOT / "data")
    return list(pictures.pictures(pictures.FACTORS[factor][level], test))


class Hostile:
    """What would leave a mark, a folder, if it were unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


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
