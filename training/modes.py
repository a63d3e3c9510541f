"""Modes of torch and of a model, set for a while and then restored."""

import contextlib

import torch


@contextlib.contextmanager
def training_modes(device):
    """Enable gradients, disable autocast and make float32 the default dtype, regardless of the caller's settings."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad(), torch.autocast(device.type, enabled=False):
            yield
    finally:
        torch.set_default_dtype(dtype)


@contextlib.contextmanager
def evaluation_mode(model):
    """Put `model` into evaluation mode, and afterwards every module of it back into the mode it was in."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
