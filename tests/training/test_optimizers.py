"""The optimizers against what they are defined by, and the course of their learning rate."""

import pytest
import torch
from helpers import make_net

import utils
from training.optimizers import Muon, orthogonalize

pytestmark = pytest.mark.numeric


def test_one_cycle_rises_to_one_and_falls_to_zero():
    multipliers = utils.one_cycle(1000, warmup=0.2)
    top = multipliers.argmax().item()
    assert top == pytest.approx(200, abs=1)
    assert multipliers[[0, top, -1]].tolist() == pytest.approx([1 / 200, 1, 0], abs=1e-4)
    assert (multipliers[: top + 1].diff() > 0).all()
    assert (multipliers[top:].diff() <= 0).all()


def test_orthogonalized_singular_values_are_about_one():
    """All matrices at once, whatever their shapes and scales; zeros stay zeros."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 9), (16, 144), (32, 16), (10, 10), (1, 3)]
    matrices = [torch.randn(shape, generator=generator) for shape in shapes]
    matrices += [1000 * matrices[0], torch.zeros(4, 4)]
    done = orthogonalize(matrices)
    for before, after in zip(matrices, done, strict=True):
        assert after.shape == before.shape
        left, values, right = torch.linalg.svd(before, full_matrices=False)
        assert ((torch.linalg.svdvals(after) - 1).abs() < 0.4)[values > 0.1].all()
        directions = left.T @ after @ right.T  # diagonal where the singular vectors have stayed
        assert (directions - directions.diag().diag()).abs().max() < 1e-3
    torch.testing.assert_close(done[-2], done[0], atol=1e-4, rtol=1e-4)


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="needs torch 2.9")
def test_muon_agrees_with_torch():
    """On matrices, where torch has it too, within what its bfloat16 allows: three steps, same gradients."""
    generator = torch.Generator().manual_seed(0)
    for shape in ((8, 72), (32, 16)):
        start = torch.randn(shape, generator=generator)
        ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
        optimizers = [Muon([ours], 0.1), torch.optim.Muon([theirs], 0.1, weight_decay=0, momentum=0.9)]
        for _ in range(3):
            ours.grad = theirs.grad = torch.randn(shape, generator=generator)
            for optimizer in optimizers:
                optimizer.step()
        moved, expected = ours.detach() - start, theirs.detach() - start
        assert (moved - expected).norm() < 0.05 * expected.norm()


def test_muon_gets_what_mixes_channels_and_adam_the_rest():
    model = make_net()
    optimizers = utils.muon_and_adam(model, 0.3)
    assert [optimizer.param_groups[0]["lr"] for optimizer in optimizers] == pytest.approx([0.3, 0.02])
    muon, adam = ({id(p) for p in optimizer.param_groups[0]["params"]} for optimizer in optimizers)
    mixing = {id(layer.weight) for layer in model.modules() if isinstance(layer, torch.nn.Conv2d) and layer.groups == 1}
    assert muon == mixing
    assert adam == {id(p) for p in model.parameters()} - mixing


def test_muon_steps_a_shared_weight_once():
    first, second = torch.nn.Linear(10, 10), torch.nn.Linear(10, 10)
    second.weight = first.weight
    muon, _ = utils.muon_and_adam(torch.nn.Sequential(first, second), 0.1)
    assert [len(group["params"]) for group in muon.param_groups] == [1]


@pytest.mark.parametrize(
    ("layers", "kinds"),
    [
        ([torch.nn.Flatten(), torch.nn.BatchNorm1d(784), torch.nn.AdaptiveAvgPool1d(10)], ["Adam"]),
        ([torch.nn.BatchNorm2d(1), torch.nn.Conv2d(1, 10, 28), torch.nn.Flatten()], ["Muon", "Adam"]),
    ],
)
def test_other_models_train_too(small, layers, kinds):
    model = torch.nn.Sequential(*layers).to(small[0].labels.device)
    assert [type(optimizer).__name__ for optimizer in utils.muon_and_adam(model, 0.1)] == kinds
    before = [p.clone() for p in model.parameters()]
    few = utils.Split(small[0].images[:64], small[0].labels[:64])
    utils.fit(model, few, few, epochs=1, batch_size=32)
    assert not any(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))
