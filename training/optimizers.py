"""The optimizers of the recipe and the course of their learning rate."""

import math

import torch
import torch.nn.functional as F

from training.checks import is_number, require, require_count


def orthogonalize(matrices):
    """Return float32 `matrices`, each [rows, columns], with all their singular values brought to about 1.

    Five Newton–Schulz steps, on all matrices at once: transposed where they are tall, and padded with zeros, which
    change nothing. Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """
    wide = [m.mT if m.shape[0] > m.shape[1] else m for m in matrices]
    height, width = (max(sizes) for sizes in zip(*(m.shape for m in wide), strict=True))
    batch = torch.stack([F.pad(m, (0, width - m.shape[1], 0, height - m.shape[0])) for m in wide])
    batch = batch / (batch.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = batch @ batch.mT
        change = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        batch = torch.baddbmm(batch, change, batch, beta=3.4445)
    done = [m[: w.shape[0], : w.shape[1]] for m, w in zip(batch, wide, strict=True)]
    return [m.mT if original.shape[0] > original.shape[1] else m for m, original in zip(done, matrices, strict=True)]


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised: a step turns a weight matrix about equally far in all its directions.

    A convolution's weight [out, in, height, width] counts as a matrix [out, in · height · width]. Tall matrices take
    longer steps, by the root of rows over columns. Source: as for `orthogonalize`. `torch.optim.Muon` takes no
    convolutions, rounds to bfloat16 and reads the learning rate back to the host at every step.
    """

    def __init__(self, weights, lr, momentum=0.9):
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            directions = []
            weights = [weight for weight in group["params"] if weight.grad is not None]
            for weight in weights:
                if weight not in self.state:
                    self.state[weight]["velocity"] = torch.zeros_like(weight)
                velocity = self.state[weight]["velocity"]
                velocity.lerp_(weight.grad, 1 - group["momentum"])
                directions.append(weight.grad.lerp(velocity, group["momentum"]).flatten(1))
            for weight, direction in zip(weights, orthogonalize(directions) if weights else [], strict=True):
                rows, columns = direction.shape
                step = direction.reshape(weight.shape) * max(1, rows / columns) ** 0.5
                weight.sub_(group["lr"] * step)


def muon_and_adam(model, lr):
    """Return the optimizers of `model`: `Muon` at `lr` for what mixes channels, Adam at `lr` / 15 for all else.

    All else are the depthwise convolutions, which mix none, and BatchNorm's scales and shifts.
    """
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    mixing = [layer.weight for layer in layers if getattr(layer, "groups", 1) == 1]
    rest = [p for p in model.parameters() if all(p is not weight for weight in mixing)]
    optimizers = [Muon(mixing, lr)] if mixing else []
    if rest:
        optimizers.append(torch.optim.Adam(rest, lr / 15, fused=True))
    return optimizers


def one_cycle(steps, warmup=0.1):
    """Return each step's share of the peak learning rate, float32 [steps]: a linear rise to 1, then half a cosine to 0.

    `warmup` is the rise's share of the steps. Source: Smith and Topin, "Super-convergence", 2018, section 3.
    """
    require_count("steps", steps)
    require(is_number(warmup, 0) and 0 < warmup < 1, "warmup", warmup, "a number between 0 and 1")
    progress = (torch.arange(steps) + 1) / steps
    rise = progress / warmup
    fall = (1 + torch.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2
    return torch.where(progress < warmup, rise, fall)


def parameters_of(optimizer):
    """Return the parameters of `optimizer` as a list, always in the same order."""
    return [p for group in optimizer.param_groups for p in group["params"]]
