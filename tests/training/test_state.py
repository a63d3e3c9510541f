"""One step: what it changes, and that it is the step of a plain loop."""

import pytest
import torch
import torch.nn.functional as F
from helpers import make_net
from states import make_state

import utils
from training.augmentation import warp
from training.speedups import ALL, convert

pytestmark = pytest.mark.numeric


def sgd(model, lr):
    return [torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=0.01)]


@pytest.mark.parametrize(("make_optimizers", "threads"), [(sgd, 1), (utils.muon_and_adam, 2)])
def test_steps_equal_a_plain_loop(small, device, monkeypatch, make_optimizers, threads):
    """With augmentation, and with learning rates that are numbers, not tensors on the device.

    Both use the same fast layers, since others round differently, and three such steps turn 1e-5 into 1e-2.
    """
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)  # more than one: another layout of BatchNorm
    split = small[0]
    state = make_state(split, make_optimizers=make_optimizers)
    state.affines.copy_(utils.random_affines(len(split.labels)))
    plain = convert(make_net().to(device, memory_format=state.memory_format), device, ALL)
    images = utils.normalize(warp(split.images[:64:2], state.affines[:64:2]))
    optimizers = make_optimizers(plain, 0.05)
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    peaks = torch.tensor([group["lr"] for group in groups])
    for multiplier in (0.2, 1.0, 0.5):
        state.lr_now.copy_(multiplier * peaks)
        utils.train_step(state)
        for group, rate in zip(groups, (multiplier * peaks).tolist(), strict=True):
            group["lr"] = rate
        plain.zero_grad()
        loss = F.cross_entropy(plain(images), split.labels[:64:2])
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        torch.testing.assert_close(state.losses[0], loss.detach())
    for ours, expected in zip(state.live_model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def floats(model):
    return {name: value.clone() for name, value in model.state_dict().items() if value.is_floating_point()}


def test_ema_is_a_running_mean_of_weights_and_statistics(small):
    state = make_state(small[0])
    expected = floats(state.live_model)
    for _ in range(3):
        state.ema_rate.fill_(0.25)
        utils.train_step(state)
        expected = {name: 0.75 * expected[name] + 0.25 * value for name, value in floats(state.live_model).items()}
    torch.testing.assert_close(floats(state.ema_model), expected)


def buffers(net):
    """As thop and numpy leave them; one is expanded and cannot be written to."""
    net.register_buffer("total_ops", torch.zeros(1, dtype=torch.float64))
    net.register_buffer("mask", torch.ones(1).expand(10))


# What changes a network, and how many buffers it adds; those of spectral norm are unit vectors, which no average is.
CHANGES = {
    "weight norm": (lambda net: torch.nn.utils.parametrizations.weight_norm(net.shapes[0]), 0),
    "spectral norm": (lambda net: torch.nn.utils.parametrizations.spectral_norm(net.shapes[0]), 2),
    "buffers": (buffers, 2),
}


@pytest.mark.parametrize("name", CHANGES)
def test_unusual_models_train(small, name):
    change, added = CHANGES[name]
    model, split = make_net(), utils.Split(*(part.cpu() for part in small[0]))  # Apple's GPU has no float64
    change(model)
    state = make_state(split, 10, model)
    state.start_epoch(utils.identity_affines(1280))
    for step in range(10):
        state.select_batch(step, torch.arange(32))
        utils.train_step(state)
    assert state.losses[-1] < state.losses[0] - 0.5
    live = dict(state.live_model.named_buffers())
    others = {name: value for name, value in model.named_buffers() if "running" not in name and "num" not in name}
    assert len(others) == added
    assert all(torch.equal(value, live[name]) for name, value in others.items())
