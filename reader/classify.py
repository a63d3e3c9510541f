"""Run the network on extracted ink."""

import torch

import utils
from reader.mnist_format import to_mnist_format


def classify(model, inks):
    """Return the probabilities of the ten digits for each of `inks`, float [H, W] from 0 to 1: float32 [N, 10]."""
    images = torch.cat([to_mnist_format(ink) for ink in inks]).to(next(model.parameters()).device)
    return utils.compute_logits(model, images).softmax(dim=1).cpu()
