"""Turn a trained model into what the page's script computes: a list of layers, and their weights.

Convolutions keep their weights. A BatchNorm becomes one scale and one shift per channel, and Dropout disappears.
"""

import itertools

import torch
from torch import nn

from training.modes import evaluation_mode

COMPUTED = "Conv2d, BatchNorm2d, ReLU, MaxPool2d, AvgPool2d, Dropout and a Flatten at the end"


def layers_of(model):
    """Return the layers of `model` as dictionaries for the page's script, and their weights, float32 [n] on the CPU.

    The last layer of a stage has its name under "ends". Raises ValueError if the page cannot compute `model`.
    """
    layers, weights = [], []

    def keep(*tensors):
        """Append `tensors` to `weights`; return the index of their first number."""
        start = sum(tensor.numel() for tensor in weights)
        weights.extend(tensor.detach().cpu().float().flatten() for tensor in tensors)
        return start

    stages = stages_of(model)
    check_forward(model, stages)
    for name, stage in stages.items():
        before = len(layers)
        for layer in stage:
            if isinstance(layer, nn.Conv2d):
                kernel = layer.kernel_size[0]
                padding = 0 if isinstance(layer.padding, str) else layer.padding[0]
                require_settings(layer, kernel_size=kernel, padding=padding, stride=1, dilation=1, padding_mode="zeros")
                settings = {"outputs": layer.out_channels, "kernel": kernel, "padding": padding, "groups": layer.groups}
                layers.append({"type": "convolve", **settings, "start": keep(layer.weight)})
                if layer.bias is not None:
                    layers[-1]["bias"] = keep(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d):
                require_settings(layer, affine=True, track_running_stats=True)
                layers.append({"type": "normalize", "start": keep(*fold_batchnorm(layer))})
            elif isinstance(layer, nn.ReLU):
                layers.append({"type": "relu"})
            elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
                is_max, kernel = isinstance(layer, nn.MaxPool2d), layer.kernel_size
                kernel = kernel if isinstance(kernel, int) else kernel[0]
                others = {"dilation": 1} if is_max else {"divisor_override": None}
                require_settings(layer, kernel_size=kernel, stride=kernel, padding=0, ceil_mode=False, **others)
                layers.append({"type": "pool", "kernel": kernel, "max": is_max})
            elif not isinstance(layer, nn.Dropout | nn.Flatten):
                raise ValueError(f"{name} contains {layer}; the page can compute {COMPUTED}")
        if len(layers) == before:
            raise ValueError(f"stage {name} computes nothing; remove it, or add a layer to it")
        layers[-1]["ends"] = name
    if not torch.cat(weights).isfinite().all():
        raise ValueError("the model's weights contain NaN or infinity; train it with a lower learning rate")
    return layers, torch.cat(weights)


def stages_of(model):
    """Return the stages of `model`, a dictionary from names to lists of layers.

    A child that is a Sequential is a stage. Of other children, convolution and pooling begin one, unless one follows
    the other directly.
    """
    stages, just_begun = {}, False
    for name, child in model.named_children():
        begins = isinstance(child, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)
        if isinstance(child, nn.Sequential):
            stages[name] = [layer for layer in child.modules() if not isinstance(layer, nn.Sequential)]
        elif not stages or (begins and not just_begun):
            stages[name] = [child]
        else:
            stages[next(reversed(stages))].append(child)
        just_begun = begins
    return stages


def require_settings(layer, **settings):
    """Raise ValueError unless each attribute of `layer` in `settings` has that value, or that value twice."""
    for name, value in settings.items():
        found = getattr(layer, name)
        if found not in (value, (value, value)):
            raise ValueError(f"{layer}: {name} is {found!r}; the page can only compute {value!r}")


def fold_batchnorm(layer):
    """Return the scale and the shift of each channel that a trained BatchNorm amounts to, each float64 [C] on the CPU.

    Computed in float64, so that the float32 numbers are the same on nearly any processor.
    """
    names = ("weight", "bias", "running_mean", "running_var")
    weight, bias, mean, variance = (getattr(layer, name).detach().cpu().double() for name in names)
    scale = weight / (variance + layer.eps).sqrt()
    return scale, bias - mean * scale


def check_forward(model, stages):
    """Raise ValueError unless `model` turns images into ten logits by applying the layers of `stages` one by one.

    The page sees the layers, not what `forward` does with them.
    """
    name, parameter = type(model).__name__, next(model.parameters(), torch.zeros(0))
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)).to(parameter)
    try:
        with evaluation_mode(model), torch.inference_mode():
            found = model(images)
            expected = nn.Sequential(*itertools.chain(*stages.values()))(images)
    except RuntimeError as error:
        raise ValueError(f"{name} cannot be applied to images [N, 1, 28, 28]: {error}") from error
    if found.shape not in ((4, 10), (4, 10, 1, 1)):
        raise ValueError(f"{name} turns 4 images into {list(found.shape)}; the page needs ten outputs, [4, 10]")
    if found.numel() != expected.numel() or (found - expected.view_as(found)).abs().max() > 1e-3 * found.abs().max():
        raise ValueError(f"{name}.forward does more than apply its layers one by one; the page cannot compute that")
