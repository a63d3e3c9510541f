"""Check arguments: a wrong one raises a ValueError that names it, says what was found and what is expected."""

import math
import os
import reprlib

import torch


def require(condition, name, value, expected):
    """Raise ValueError unless `condition`: "`name` is `value`; it must be `expected`"."""
    if not condition:
        if isinstance(value, torch.Tensor):
            found = f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} on {value.device}"
        elif isinstance(value, str | int | float | list | tuple):
            found = reprlib.repr(value)
        else:
            found = f"of type {type(value).__name__}"
        raise ValueError(f"{name} is {found}; it must be {expected}")


def is_number(value, low, high=math.inf):
    """Return whether `value` is a finite int or float from `low` to `high`."""
    is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return is_numeric and math.isfinite(value) and low <= value <= high


def require_int(name, value, low=1, high=math.inf):
    """Raise ValueError unless `value` is an int from `low` to `high`."""
    limits = f"{low} or more" if high == math.inf else f"from {low} to {high}"
    require(is_number(value, low, high) and isinstance(value, int), name, value, f"a whole number, {limits}")


def require_fit_arguments(model, train, test, numbers, functions, extra_metrics, checkpoint):
    """Raise ValueError unless the arguments of `fit` are valid; `numbers` and `functions` are dictionaries by name."""
    require_model(model)
    require_split("train", train)
    require_split("test", test, train.images.device)
    require_int("epochs", numbers["epochs"])
    require_int("batch_size", numbers["batch_size"])
    require_int("seed", numbers["seed"], 0, 2**63 - 1)
    lr, ema_decay = numbers["lr"], numbers["ema_decay"]
    require(is_number(lr, 0) and lr > 0, "lr", lr, "a finite number above 0")
    require(is_number(ema_decay, 0) and ema_decay < 1, "ema_decay", ema_decay, "a number from 0 to below 1")
    for name, function in functions.items():
        require(callable(function), name, function, "a function")
    require(extra_metrics is None or callable(extra_metrics), "extra_metrics", extra_metrics, "a function, or None")
    is_path = isinstance(checkpoint, str | os.PathLike) and os.fspath(checkpoint) != ""
    require(checkpoint is None or is_path, "checkpoint", checkpoint, "a path, or None")


def require_model(model):
    """Raise ValueError unless `model` is a Module with float32 parameters, some of which require gradients."""
    require(isinstance(model, torch.nn.Module), "model", model, "a torch.nn.Module")
    for name, parameter in model.named_parameters():
        require(parameter.dtype == torch.float32, f"model's {name}", parameter, "float32; try model.float()")
        made_inside = "made outside torch.inference_mode(); create the model before entering it"
        require(not parameter.is_inference(), f"model's {name}", parameter, made_inside)
    trainable = any(parameter.requires_grad for parameter in model.parameters())
    require(trainable, "model", model, "one with trainable parameters (requires_grad=True)")


def require_lr_multipliers(multipliers, steps):
    """Raise ValueError unless `multipliers`, returned by schedule(steps), are finite, [steps], and not all 0."""
    valid = isinstance(multipliers, torch.Tensor) and multipliers.shape == (steps,) and multipliers.isfinite().all()
    require(valid, f"schedule({steps})", multipliers, f"a tensor [{steps}] of finite numbers")
    way_out = "use more epochs or a smaller batch_size"
    require(multipliers.any(), f"schedule({steps})", multipliers.tolist(), f"above 0 in at least one step; {way_out}")


def require_affines(affines, n):
    """Raise ValueError unless `affines`, returned by augment(n), are finite, [n, 2, 3]."""
    valid = isinstance(affines, torch.Tensor) and affines.shape == (n, 2, 3) and affines.isfinite().all()
    require(valid, f"augment({n})", affines, f"a tensor [{n}, 2, 3] of finite numbers")


def require_optimizers(optimizers):
    """Raise ValueError unless `optimizers` is a list of torch optimizers whose step needs nothing but gradients."""
    valid = isinstance(optimizers, list | tuple) and len(optimizers) > 0
    valid = valid and all(isinstance(optimizer, torch.optim.Optimizer) for optimizer in optimizers)
    require(valid, "what make_optimizers returns", optimizers, "a list of torch.optim.Optimizer")
    for optimizer in optimizers:
        usable = not isinstance(optimizer, torch.optim.LBFGS | torch.optim.SparseAdam)
        expected = "one that needs dense gradients and nothing else, such as SGD or AdamW"
        require(usable, "an optimizer", type(optimizer).__name__, expected)


def require_metrics(metrics):
    """Return what extra_metrics(state) returned as a dictionary, empty for None; else raise ValueError."""
    metrics = metrics or {}
    require(isinstance(metrics, dict), "what extra_metrics returns", metrics, "a dictionary, or None")
    return metrics


def require_logits(logits, n, name="logits"):
    """Raise ValueError unless `logits`, called `name` in the message, are float [n, 10]."""
    valid = isinstance(logits, torch.Tensor) and logits.is_floating_point() and logits.shape == (n, 10)
    require(valid, name, logits, f"logits [N, 10], one row per image: here a float tensor [{n}, 10]")


def require_images(name, images, device=None):
    """Raise ValueError unless `images` are uint8 [N, 1, 28, 28] with N ≥ 1, and on `device` if one is given."""
    valid = isinstance(images, torch.Tensor) and images.dtype == torch.uint8 and images.shape[1:] == (1, 28, 28)
    require(valid and len(images) > 0, name, images, "a uint8 tensor [N, 1, 28, 28] with N of at least 1")
    require(device is None or images.device == device, name, images, f"on {device}, like what it is used with")


def require_split(name, split, device=None):
    """Raise ValueError unless `split` is a `Split` of valid images and labels 0 to 9, on `device` if one is given."""
    is_split = isinstance(split, tuple) and hasattr(split, "images") and hasattr(split, "labels")
    require(is_split, name, split, "a Split of images and labels")
    require_images(f"{name}.images", split.images, device)
    labels = split.labels
    valid = isinstance(labels, torch.Tensor) and labels.dtype == torch.int64 and labels.shape == split.images.shape[:1]
    valid = valid and labels.device == split.images.device
    require(valid, f"{name}.labels", labels, f"an int64 tensor [{len(split.images)}] on {split.images.device}")
    low, high = labels.min().item(), labels.max().item()
    require(0 <= low <= high <= 9, f"the range of {name}.labels", [low, high], "within 0 to 9")
