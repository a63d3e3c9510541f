"""What several test files import: the repository's folder, small networks and training states, a hand that draws."""

import os
from pathlib import Path

import torch

import utils
from model import Net
from training.state import TrainState

ROOT = Path(__file__).resolve().parent.parent

RECIPE = {"batch_size": 128, "make_optimizers": utils.muon_and_adam, "lr": 0.05, "ema_decay": 0.9}


def make_net(seed=0):
    torch.manual_seed(seed)
    return Net()


def make_state(train, steps=20, **settings):
    """Return a `TrainState` of a new network, ready to train on the first 128 images at the peak learning rate."""
    state = TrainState(make_net(), train, utils.one_cycle(steps), utils.train_step, **(RECIPE | settings))
    state.batch_indices.copy_(torch.arange(128))
    state.affines.copy_(utils.identity_affines(len(train.labels)))
    state.lr_now.copy_(state.lr_schedule.max(dim=0).values)
    return state


class Hostile:
    """An object that would create a folder, `mark`, if it were unpickled."""

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
