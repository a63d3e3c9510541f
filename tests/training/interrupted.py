"""Short runs for the tests of checkpoints: interrupted, and compared."""

import pytest
import torch

import utils
from model import Net

EPOCHS = 3
STEPS = 4  # per epoch: 100 images, 32 at a time


def make_splits(seed=0):
    """Return 100 training images and 50 test images, of noise."""
    generator, device = torch.Generator().manual_seed(seed), utils.pick_device()
    images = torch.randint(256, (150, 1, 28, 28), dtype=torch.uint8, generator=generator).to(device)
    labels = torch.arange(150, device=device) % 10
    return utils.Split(images[:100], labels[:100]), utils.Split(images[100:], labels[100:])


def start(**options):
    torch.manual_seed(0)
    return Net(**options)


def run(model, splits, **options):
    return utils.fit(model, *splits, **({"epochs": EPOCHS, "batch_size": 32} | options))


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def assert_same_run(model, history, uninterrupted):
    """Fail unless model and history are those of the uninterrupted run, bit for bit."""
    assert without_seconds(history) == without_seconds(uninterrupted[1])
    assert same_weights(model, uninterrupted[0])


def run_until(epoch, model, splits, **options):
    """Run as a script does, interrupted at the end of `epoch`, before that epoch is complete."""
    calls = []

    def stop(state):
        calls.append(1)
        if len(calls) == epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(model, splits, **options, extra_metrics=stop)
