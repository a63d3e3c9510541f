"""What several test files import: the repository's folder, small networks and training states."""

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
    """Return a `TrainState` of a new network, ready to train on the first images at the peak learning rate."""
    state = TrainState(make_net(), train, utils.one_cycle(steps), **(RECIPE | settings))
    state.batch_indices.copy_(torch.arange(len(state.batch_indices)))
    state.affines.copy_(utils.identity_affines(len(train.labels)))
    state.lr_now.copy_(state.lr_schedule.max(dim=0).values)
    return state


class Hostile:
    """An object that would create a folder, `mark`, if it were unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)
