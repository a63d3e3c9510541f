"""Training states for the tests of this folder."""

import torch
from helpers import make_net

import utils
from training.state import TrainState


def make_state(train, steps=20, model=None, **settings):
    """Return a `TrainState` of `model`, or a new network, about to train on every other image at the peak rate."""
    recipe = {"batch_size": 32, "make_optimizers": utils.muon_and_adam, "lr": 0.05, "ema_decay": 0.9}
    state = TrainState(model or make_net(), train, utils.one_cycle(steps), **(recipe | settings))
    state.batch_indices.copy_(2 * torch.arange(len(state.batch_indices)))
    state.affines.copy_(utils.identity_affines(len(train.labels)))
    state.lr_now.copy_(state.lr_schedule.max(dim=0).values)
    return state
