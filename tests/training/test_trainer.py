"""One step: what it changes, and that it is the step of a plain loop."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from helpers import RECIPE, make_net, make_trainer

import utils
from training.augmentation import warp
from training.cpu import spread_narrow_batchnorm
from training.trainer import Trainer, floats

pytestmark = pytest.mark.numeric


def test_steps_lower_the_loss(small):
    trainer = make_trainer(small[0])
    losses = []
    for _ in range(20):
        trainer.run_step()
        losses.append(trainer.losses[0].item())
    assert losses[0] == pytest.approx(math.log(10), abs=0.3)
    assert losses[-1] < losses[0] / 2


def test_a_model_in_evaluation_mode_is_trained_all_the_same(small):
    model = make_net().eval()
    trainer = Trainer(model, small[0], utils.one_cycle(1), **RECIPE)
    statistics = trainer.model.edges[2].running_mean.clone()
    trainer.run_step()
    assert not torch.equal(trainer.model.edges[2].running_mean, statistics)
    assert not model.training


def test_a_step_moves_every_parameter(small):
    trainer = make_trainer(small[0])
    before = copy.deepcopy(dict(trainer.model.named_parameters()))
    trainer.run_step()
    assert [name for name, p in trainer.model.named_parameters() if torch.equal(p, before[name])] == []


def sgd(model, lr):
    return [torch.optim.SGD(model.parameters(), lr, momentum=0.9, nesterov=True, weight_decay=0.01)]


@pytest.mark.parametrize("optimizers", [sgd, utils.muon_and_adam])
def test_steps_are_those_of_a_plain_loop(small, device, optimizers, threads):
    """With the learning rates given to the optimizers as numbers, not as tensors on the device.

    With two threads both have the same layout of BatchNorm, since another one rounds otherwise, and three steps at
    these rates from random weights turn 1e-5 into 1e-2. That both layouts compute the same is shown in test_cpu.py.
    """
    split = small[0]
    trainer = make_trainer(split, optimizers=optimizers)
    plain = make_net().to(device, memory_format=trainer.layout)
    if device.type == "cpu" and threads > 1:
        spread_narrow_batchnorm(plain)
    images = utils.normalize(warp(split.images[:128], trainer.affines[:128]))
    own = optimizers(plain, 0.05)
    groups = [group for optimizer in own for group in optimizer.param_groups]
    peaks = torch.tensor([group["lr"] for group in groups])
    for share in (0.2, 1.0, 0.5):
        trainer.lr.copy_(share * peaks)
        trainer.run_step()
        for group, rate in zip(groups, (share * peaks).tolist(), strict=True):
            group["lr"] = rate
        plain.zero_grad()
        loss = F.cross_entropy(plain(images), split.labels[:128])
        loss.backward()
        for optimizer in own:
            optimizer.step()
        torch.testing.assert_close(trainer.losses[0], loss.detach())
    for ours, expected in zip(trainer.model.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-4)


def test_the_average_is_a_running_mean_of_weights_and_statistics(small):
    trainer = make_trainer(small[0])
    expected = [tensor.detach().clone() for tensor in floats(trainer.model)]
    for _ in range(3):
        trainer.blend.fill_(0.25)
        trainer.run_step()
        expected = [0.75 * e + 0.25 * t.detach() for e, t in zip(expected, floats(trainer.model), strict=True)]
    for average, value in zip(floats(trainer.averaged), expected, strict=True):
        torch.testing.assert_close(average, value)


def test_the_average_warms_up(small):
    blends = make_trainer(small[0], steps=1000, averaging=0.99).blends
    assert blends[0].item() == pytest.approx(0.9)
    assert blends[-1].item() == pytest.approx(0.01)
    assert (blends.diff() <= 0).all()


def test_floats_are_parameters_and_batchnorm_statistics():
    tensors = floats(make_net())
    assert sum(t.numel() for t in tensors) == 6456 + 2 * (8 + 8 + 16 + 16 + 8 + 16 + 16 + 32 + 10)
    assert all(t.dtype == torch.float32 for t in tensors)


def test_random_numbers_go_on_where_they_were(small):
    """Those of the CPU and of the GPU that training runs on; no other GPU is asked for, or need be there."""
    trainer = make_trainer(small[0])
    states = trainer.random_state()
    assert len(states) == (2 if trainer.rows.is_cuda else 1)
    drawn = torch.rand(4), torch.rand(4, device=trainer.rows.device)
    trainer.set_random_state(states)
    again = torch.rand(4), torch.rand(4, device=trainer.rows.device)
    assert all(torch.equal(one, other) for one, other in zip(drawn, again, strict=True))


@pytest.mark.parametrize("kind", [torch.optim.LBFGS, torch.optim.SparseAdam])
def test_an_optimizer_that_wants_more_than_gradients_is_refused_by_name(small, kind):
    with pytest.raises(ValueError, match=f"an optimizer is '{kind.__name__}'; it must be .* such as SGD or AdamW"):
        make_trainer(small[0], optimizers=lambda model, lr: [kind(list(model.parameters()), lr=lr)])


@pytest.mark.parametrize("kind", [torch.optim.Adagrad, torch.optim.NAdam, torch.optim.RMSprop, torch.optim.Rprop])
def test_torch_s_own_optimizers_train(small, kind):
    trainer = make_trainer(small[0], optimizers=lambda model, lr: [kind(model.parameters(), lr=0.001)])
    for _ in range(5):
        trainer.run_step()
        trainer.number.add_(1)
    assert trainer.losses[:5].isfinite().all()
    assert trainer.losses[4] < trainer.losses[0]


def test_full_float32_is_kept():
    utils.set_seed(0)
    assert torch.backends.cudnn.allow_tf32 is False
    assert torch.backends.cudnn.deterministic is True
