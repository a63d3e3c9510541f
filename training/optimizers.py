"""The optimizers of the recipe and their learning-rate schedule."""

import math

import torch
import torch.nn.functional as F

from training.validation import is_number, require, require_int


def orthogonalize(matrices):
    """Return float32 `matrices`, each [rows, columns], with all singular values moved close to 1.

    Five Newton–Schulz steps on all matrices at once: tall ones are transposed, and all are padded with zeros, which
    doesn't change the result. Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """
    a, b, c = 3.4445, -4.7750, 2.0315  # X → aX + (bA + cA²)X with A = XXᵀ
    wide = [m.mT if m.shape[0] > m.shape[1] else m for m in matrices]
    height, width = (max(sizes) for sizes in zip(*(m.shape for m in wide), strict=True))
    batch = torch.stack([F.pad(m, (0, width - m.shape[1], 0, height - m.shape[0])) for m in wide])
    batch = batch / (batch.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = batch @ batch.mT
        change = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        batch = torch.baddbmm(batch, change, batch, beta=a)
    done = [m[: w.shape[0], : w.shape[1]] for m, w in zip(batch, wide, strict=True)]
    return [m.mT if original.shape[0] > original.shape[1] else m for m, original in zip(done, matrices, strict=True)]


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised: each step moves a weight matrix about equally far in all its directions.

    A convolution's weight [out, in, height, width] counts as a matrix [out, in · height · width]. Tall matrices take
    longer steps, by the square root of rows over columns. Source: as for `orthogonalize`. `torch.optim.Muon` doesn't
    accept convolutions, rounds to bfloat16 and reads the learning rate back to the host at every step.
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
    """Return two optimizers for `model`: `Muon` at `lr` for weights that mix channels, Adam at `lr` / 15 for the rest.

    The rest are the depthwise convolutions, which don't mix channels, and BatchNorm's scales and shifts.
    """
    kinds = torch.nn.Conv2d | torch.nn.Linear
    layers = [m for m in model.modules() if isinstance(m, kinds) and getattr(m, "groups", 1) == 1]
    weights = [p for layer in layers for name, p in layer.named_parameters(recurse=False) if name == "weight"]
    mixing = list(dict.fromkeys(weights))  # once, even if layers share it
    rest = [p for p in model.parameters() if all(p is not weight for weight in mixing)]
    optimizers = [Muon(mixing, lr)] if mixing else []
    if rest:
        optimizers.append(torch.optim.Adam(rest, lr / 15, fused=True))
    return optimizers


def one_cycle(steps, warmup=0.1):
    """Return a multiplier of the peak learning rate for each step, float32 [steps]: linear warm-up to 1, cosine to 0.

    `warmup` is the fraction of the steps spent warming up. Source: Smith and Topin, "Super-convergence", 2018,
    section 3. Raises ValueError if `warmup` is not between 0 and 1.
    """
    require_int("steps", steps)
    require(is_number(warmup, 0) and 0 < warmup < 1, "warmup", warmup, "a number between 0 and 1")
    progress = torch.arange(1, steps + 1, dtype=torch.float32, device="cpu") / steps
    rising = progress / warmup
    falling = (1 + torch.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2
    return torch.where(progress < warmup, rising, falling)
