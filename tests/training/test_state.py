"""One step: what it changes, and that it is the step of a plain loop."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from helpers import RECIPE, make_net, make_state

import utils
from training.augmentation import warp
from training.speedups import ALL, convert
from training.state import TrainState, float_tensors

pytestmark = pytest.mark.numeric


def test_steps_lower_the_loss(small):
    state = make_state(small[0])
    losses = []
    for _ in range(20):
        state.run_step()
        losses.append(state.losses[0].item())
    assert losses[0] == pytest.approx(math.log(10), abs=0.3)
    assert losses[-1] < losses[0] / 2


def test_state_trains_a_model_in_evaluation_mode(small):
    model = make_net().eval()
    state = TrainState(model, small[0], utils.one_cycle(1), utils.train_step, **RECIPE)
    statistics = state.live_model.edges[2].running_mean.clone()
    state.run_step()
    assert not torch.equal(state.live_model.edges[2].running_mean, statistics)
    assert not model.training


def test_step_changes_every_parameter(small):
    state = make_state(small[0])
    before = copy.deepcopy(dict(state.live_model.named_parameters()))
    state.run_step()
    assert [name for name, p in state.live_model.named_parameters() if torch.equal(p, before[name])] == []


def sgd(model, lr):
    return [torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=0.01)]


@pytest.mark.parametrize("make_optimizers", [sgd, utils.muon_and_adam])
def test_steps_equal_a_plain_loop(small, device, make_optimizers, threads):
    """With learning rates given to the optimizers as numbers, not as tensors on the device.

    Both use the same fast layers, since others round differently, and three steps at these rates from random weights
    turn 1e-5 into 1e-2. That fast layers compute the same as PyTorch's is tested in test_speedups.py.
    """
    split = small[0]
    state = make_state(split, make_optimizers=make_optimizers)
    plain = convert(make_net().to(device, memory_format=state.layout), device, ALL)
    images = utils.normalize(warp(split.images[:128], state.affines[:128]))
    own = make_optimizers(plain, 0.05)
    groups = [group for optimizer in own for group in optimizer.param_groups]
    peaks = torch.tensor([group["lr"] for group in groups])
    for multiplier in (0.2, 1.0, 0.5):
        state.lr_now.copy_(multiplier * peaks)
        state.run_step()
        for group, rate in zip(groups, (multiplier * peaks).tolist(), strict=True):
            group["lr"] = rate
        plain.zero_grad()
        loss = F.cross_entropy(plain(images), split.labels[:128])
        loss.backward()
        for optimizer in own:
            optimizer.step()
        torch.testing.assert_close(state.losses[0], loss.detach())
    for ours, expected in zip(state.live_model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_ema_is_a_running_mean_of_weights_and_statistics(small):
    state = make_state(small[0])
    expected = [tensor.detach().clone() for tensor in float_tensors(state.live_model)]
    for _ in range(3):
        state.ema_rate.fill_(0.25)
        state.run_step()
        live = float_tensors(state.live_model)
        expected = [0.75 * e + 0.25 * t.detach() for e, t in zip(expected, live, strict=True)]
    for average, value in zip(float_tensors(state.ema_model), expected, strict=True):
        torch.testing.assert_close(average, value)


def test_ema_decay_ramps_up(small):
    rates = make_state(small[0], steps=1000, ema_decay=0.99).ema_rates
    assert rates[0].item() == pytest.approx(0.9)
    assert rates[-1].item() == pytest.approx(0.01)
    assert (rates.diff() <= 0).all()


def test_float_tensors_are_parameters_and_batchnorm_statistics():
    tensors = float_tensors(make_net())
    assert sum(t.numel() for t in tensors) == 6456 + 2 * (8 + 8 + 16 + 16 + 8 + 16 + 16 + 32 + 10)
    assert all(t.dtype == torch.float32 for t in tensors)


def test_load_restores_random_numbers(small):
    """Those of the CPU, of the GPU that training runs on, and of order and augmentation."""
    state = make_state(small[0])
    device = small[0].images.device

    def draw():
        return torch.rand(4), torch.rand(4, device=device), torch.rand(4, generator=state.generator)

    saved = state.save()
    drawn = draw()
    state.load(saved)
    assert all(torch.equal(one, other) for one, other in zip(drawn, draw(), strict=True))


@pytest.mark.parametrize("kind", [torch.optim.LBFGS, torch.optim.SparseAdam])
def test_state_refuses_optimizers_that_need_more_than_gradients(small, kind):
    with pytest.raises(ValueError, match=f"an optimizer is '{kind.__name__}'; it must be .* such as SGD or AdamW"):
        make_state(small[0], make_optimizers=lambda model, lr: [kind(list(model.parameters()), lr=lr)])


@pytest.mark.parametrize("kind", [torch.optim.Adagrad, torch.optim.NAdam, torch.optim.RMSprop, torch.optim.Rprop])
def test_torch_optimizers_lower_the_loss(small, kind):
    state = make_state(small[0], make_optimizers=lambda model, lr: [kind(model.parameters(), lr=0.001)])
    for _ in range(5):
        state.run_step()
        state.step_index.add_(1)
    assert state.losses[:5].isfinite().all()
    assert state.losses[4] < state.losses[0]


def test_set_seed_makes_cudnn_deterministic_and_float32():
    utils.set_seed(0)
    assert torch.backends.cudnn.allow_tf32 is False
    assert torch.backends.cudnn.deterministic is True
