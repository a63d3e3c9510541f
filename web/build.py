"""Build web/draw.html, the page to draw on, from web/draw.template.html and mnist_6k.pt: `make deploy`

The page needs nothing but itself: the weights stand in it as base64, with BatchNorm folded into one factor and one
summand a channel. Its content-security policy names its own style and script by their hashes and forbids all else.
"""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

import torch

from model import load_net
from training.augmentation import MEAN, STD

HERE = Path(__file__).resolve().parent
TEMPLATE, PAGE = HERE / "draw.template.html", HERE / "draw.html"


def layers_of(model):
    """Return the layers of `model` as dictionaries for the page, and all their numbers, float32 [n] on the CPU.

    Raises ValueError where the page cannot do what a layer does.
    """
    layers, numbers = [], []

    def keep(*tensors):
        start = sum(t.numel() for t in numbers)
        numbers.extend(t.detach().cpu().float().contiguous().flatten() for t in tensors)
        return start

    for name, stage in model.named_children():
        for layer in stage:
            if isinstance(layer, torch.nn.Conv2d):
                outputs, kernel, padding = layer.out_channels, layer.kernel_size[0], layer.padding[0]
                require(
                    layer, kernel_size=kernel, stride=1, padding=padding, dilation=1, padding_mode="zeros", bias=None
                )
                about = {"outputs": outputs, "kernel": kernel, "padding": padding, "groups": layer.groups}
                layers.append({"type": "convolve", **about, "start": keep(layer.weight)})
            elif isinstance(layer, torch.nn.BatchNorm2d):
                require(layer, affine=True, track_running_stats=True)
                layers.append({"type": "normalize", "start": keep(*fold(layer))})
            elif isinstance(layer, torch.nn.ReLU):
                layers.append({"type": "relu"})
            elif isinstance(layer, torch.nn.MaxPool2d | torch.nn.AvgPool2d):
                largest, kernel = isinstance(layer, torch.nn.MaxPool2d), layer.kernel_size
                kernel = kernel if isinstance(kernel, int) else kernel[0]
                require(layer, kernel_size=kernel, stride=kernel, padding=0, ceil_mode=False)
                require(layer, **({"dilation": 1} if largest else {"divisor_override": None}))
                layers.append({"type": "pool", "kernel": kernel, "largest": largest})
            elif not isinstance(layer, torch.nn.Dropout):
                raise ValueError(f"model has the layer {layer}, which the page does not know")
        layers[-1]["ends"] = name
    return layers, torch.cat(numbers)


def require(layer, **settings):
    """Raise ValueError unless each of `settings` of `layer` has that value, once or for rows and columns alike."""
    for name, value in settings.items():
        if getattr(layer, name) not in (value, (value, value)):
            raise ValueError(f"model has the layer {layer}, whose {name} the page cannot do")


def fold(layer):
    """Return the factor and the summand of each channel that a trained BatchNorm is, each float64 [C] on the CPU.

    In float64, so that rounded to float32 they are the same on any processor, but for a rare last place.
    """
    names = ("weight", "bias", "running_mean", "running_var")
    weight, bias, mean, variance = (getattr(layer, name).detach().cpu().double() for name in names)
    factor = weight / (variance + layer.eps).sqrt()
    return factor, bias - mean * factor


def hash_of(text):
    """Return the hash of `text` as a content-security policy writes it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def build(model):
    """Return the page with the weights of `model` in it, as text."""
    layers, numbers = layers_of(model)
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, value in {
        "LAYERS": json.dumps(layers),
        "NUMBERS": base64.b64encode(numbers.numpy().astype("<f4").tobytes()).decode(),
        "MEAN": str(MEAN),
        "STD": str(STD),
    }.items():
        page = page.replace(f"%{name}%", value)
    for name, tag in (("STYLE_HASH", "style"), ("SCRIPT_HASH", "script")):
        page = page.replace(f"%{name}%", hash_of(re.search(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)[1]))
    return page


class Shown:
    """The page in a notebook, in a frame of its own, with the weights of `model`."""

    def __init__(self, model, height=1350):
        self.page, self.height = build(model), height

    def _repr_html_(self):
        style = f"width: 100%; height: {self.height}px; border: 0"
        return f'<iframe title="Draw a digit" style="{style}" srcdoc="{html.escape(self.page)}"></iframe>'


def main():
    PAGE.write_text(build(load_net()), encoding="utf-8")
    print(f"{PAGE.name}: {PAGE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
