"""Check arguments: a wrong one raises a ValueError that names it, says what was found and what is expected."""

import json
import math
import numbers
import reprlib

import torch


def require(condition, name, value, expected):
    """Raise ValueError unless `condition`: "`name` is `value`; it must be `expected`"."""
    if not condition:
        if isinstance(value, torch.Tensor):
            value = f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} on {value.device}"
        elif isinstance(value, str | int | float | list | tuple):
            value = reprlib.repr(value)
        else:
            value = f"of type {type(value).__name__}"
        raise ValueError(f"{name} is {value}; it must be {expected}")


def is_number(value, low, kind=numbers.Real):
    """Return whether `value`, Python's or numpy's, is a finite number of at least `low`."""
    return isinstance(value, kind) and math.isfinite(value) and value >= low


def require_int(name, value, low=1):
    """Raise ValueError unless `value` is a whole number of at least `low`."""
    require(is_number(value, low, numbers.Integral), name, value, f"a whole number, {low} or more")


def require_fit_arguments(model, train, test, functions, epochs, batch_size, lr, ema_decay, seed):
    """Raise ValueError unless these arguments of `fit` are valid; `functions` is a dictionary by name."""
    require(isinstance(model, torch.nn.Module), "model", model, "a torch.nn.Module")
    for name, parameter in model.named_parameters():
        require(parameter.dtype == torch.float32, f"model's {name}", parameter, "float32; try model.float()")
    require_split("train", train)
    require_split("test", test, train.images.device)
    for name, function in functions.items():
        require(callable(function), name, function, "a function")
    require_int("epochs", epochs)
    require_int("batch_size", batch_size)
    require(is_number(lr, 0) and lr > 0, "lr", lr, "a finite number above 0")
    require(is_number(ema_decay, 0) and ema_decay < 1, "ema_decay", ema_decay, "a number from 0 to below 1")
    require_int("seed", seed, low=0)


def require_finite(name, tensor, *shape):
    """Raise ValueError unless `tensor`, the result of the call `name`, is a finite tensor of that shape."""
    valid = isinstance(tensor, torch.Tensor) and tensor.shape == shape and tensor.isfinite().all()
    require(valid, name, tensor, f"a tensor {list(shape)} of finite numbers")


def require_metrics(metrics):
    """Return what extra_metrics(state) returned as plain numbers, texts, lists and dictionaries, or raise ValueError.

    A number of numpy's or torch's is converted. Anything else could not be read back from a checkpoint.
    """
    require(isinstance(metrics, dict | None), "what extra_metrics returns", metrics, "a dictionary, or None")
    plain = {}
    for name, value in (metrics or {}).items():
        try:
            plain[name] = json.loads(json.dumps(value, default=lambda number: number.item()))
        except (AttributeError, RuntimeError, TypeError, ValueError):
            require(False, f"extra_metrics' {name!r}", value, "a number, a text, or a list or dictionary of these")
    return plain


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
    labels, n, device = split.labels, len(split.images), split.images.device
    valid = isinstance(labels, torch.Tensor) and labels.dtype == torch.int64 and labels.shape == (n,)
    require(valid and labels.device == device, f"{name}.labels", labels, f"an int64 tensor [{n}] on {device}")
    low, high = labels.min().item(), labels.max().item()
    require(0 <= low <= high <= 9, f"the range of {name}.labels", [low, high], "within 0 to 9")
