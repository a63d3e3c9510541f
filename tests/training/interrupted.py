"""Short runs, as the tests of checkpoints interrupt them, and what is compared of them."""

import re

import pytest
import torch

import utils
from model import Net

EPOCHS = 4


def start(**options):
    torch.manual_seed(0)
    return Net(**options)


def run(model, splits, **options):
    return utils.fit(model, *splits, **({"epochs": EPOCHS, "batch_size": 64} | options))


def lines(log):
    """Return the log's last state of each line, without the times, which differ from run to run."""
    shown = [line.rsplit("\r", 1)[-1] for line in log.split("\n")]
    return [re.sub(r" \[\d\d:\d\d<.*\]", "", line).rstrip() for line in shown]


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def run_until(epoch, model, splits, **options):
    """Run as a script does, and be stopped at the end of `epoch`, before that epoch counts."""
    with pytest.raises(KeyboardInterrupt):
        run(model, splits, **options, extra=stop_in(epoch))


def stop_in(epoch):
    """Return an `extra` that is interrupted at the end of `epoch`, before that epoch counts."""
    calls = []

    def extra(trainer):
        calls.append(1)
        if len(calls) == epoch:
            raise KeyboardInterrupt
        return {}

    return extra
