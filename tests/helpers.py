"""What several test files import: the repository's folder and a network."""

from pathlib import Path

import torch

from model import Net

ROOT = Path(__file__).resolve().parent.parent


def make_net(seed=0):
    torch.manual_seed(seed)
    return Net()
