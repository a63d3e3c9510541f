"""How a wrong argument is refused: by a ValueError that names it, says what it is, and what it must be."""

import math
import reprlib

import torch


def require(good, name, value, wanted):
    """Raise ValueError unless `good`, saying what `name` is and what it must be."""
    if not good:
        if isinstance(value, torch.Tensor):
            found = f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} on {value.device}"
        elif isinstance(value, str | int | float | list | tuple):
            found = reprlib.repr(value)
        else:
            found = f"of type {type(value).__name__}"
        raise ValueError(f"{name} is {found}; it must be {wanted}")


def is_number(value, low, high=math.inf):
    """Return whether `value` is an int or a float, finite, from `low` to `high`."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value) and low <= value <= high


def is_whole(value, low, high=math.inf):
    """Return whether `value` is an int from `low` to `high`."""
    return is_number(value, low, high) and isinstance(value, int)


def require_count(name, value, least=1):
    """Raise ValueError unless `value` is an int, `least` or more."""
    require(is_whole(value, least), name, value, f"a whole number, {least} or more")


def require_recipe(recipe):
    """Raise ValueError unless the arguments of `fit` in the dictionary `recipe` are functions and numbers in range."""
    for name in ("optimizers", "schedule", "augment"):
        require(callable(recipe[name]), name, recipe[name], "a function")
    require_count("epochs", recipe["epochs"])
    require_count("batch_size", recipe["batch_size"])
    lr, averaging, seed = (recipe[name] for name in ("lr", "averaging", "seed"))
    require(is_number(lr, 0) and lr > 0, "lr", lr, "a finite number above 0")
    require(is_number(averaging, 0) and averaging < 1, "averaging", averaging, "a number from 0 to below 1")
    require(is_whole(seed, 0, 2**63 - 1), "seed", seed, "a whole number from 0 to 2⁶³ - 1")


def require_model(model):
    """Raise ValueError unless `model` is a Module with float32 parameters, of which some are to be trained."""
    require(isinstance(model, torch.nn.Module), "model", model, "a torch.nn.Module")
    for name, parameter in model.named_parameters():
        require(parameter.dtype == torch.float32, f"model's {name}", parameter, "float32; try model.float()")
    good = any(parameter.requires_grad for parameter in model.parameters())
    require(good, "model", model, "one with parameters that are to be trained: requires_grad")


def require_shares(steps, shares):
    """Raise ValueError unless `shares`, what a schedule returns for so many `steps`, are finite and not all 0."""
    good = isinstance(shares, torch.Tensor) and shares.shape == (steps,) and shares.isfinite().all()
    require(good, f"schedule({steps})", shares, f"a tensor [{steps}] of finite numbers")
    way_out = "take more epochs or a smaller batch_size"
    require(shares.any(), f"schedule({steps})", shares.tolist(), f"above 0 in some step: {way_out}")


def require_logits(logits, n, name="logits"):
    """Raise ValueError unless `logits`, called `name`, are float [n, 10]."""
    good = isinstance(logits, torch.Tensor) and logits.is_floating_point() and logits.shape == (n, 10)
    require(good, name, logits, f"logits [N, 10], a row for each image: here a float tensor [{n}, 10]")
