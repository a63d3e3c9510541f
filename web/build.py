"""Build web/draw.html, the draw-a-digit page, from web/draw.template.html and mnist_6k.pt: `python -m web.build`

The page is one file: it contains the weights as base64, with each BatchNorm folded into one scale and one shift per
channel. Its content security policy allows its own style and script, by their hashes, and nothing else.

If Chromium is installed, the page's forward pass is compared with PyTorch's on all test images. The result goes to
experiments/results/page_check.csv and into the page's last line. Without Chromium, both are left out.
"""

import base64
import csv
import hashlib
import html
import json
import re
import sys
from pathlib import Path

import torch

import utils
from model import load_net
from training.data import MEAN, STD

HERE = Path(__file__).resolve().parent
TEMPLATE, PAGE = HERE / "draw.template.html", HERE / "draw.html"
CHECK = HERE.parent / "experiments" / "results" / "page_check.csv"
TOLERANCE = 1e-4  # of logits, which reach 30; float32 has steps of 2e-6 there, and errors of layers add up


def layers_of(model):
    """Return the layers of `model` as dictionaries for the page's script, and their weights, float32 [n] on the CPU.

    Raises ValueError if the page cannot compute a layer.
    """
    layers, weights, offset = [], [], 0

    def keep(*tensors):
        """Append `tensors` to `weights`; return the index of their first number."""
        nonlocal offset
        start = offset
        weights.extend(tensor.detach().cpu().float().flatten() for tensor in tensors)
        offset += sum(tensor.numel() for tensor in tensors)
        return start

    for name, stage in model.named_children():
        if not isinstance(stage, torch.nn.Sequential):
            raise ValueError(f"{name} is {stage}; the page needs each child of the model to be a Sequential, as in Net")
        for layer in stage:
            if isinstance(layer, torch.nn.Conv2d):
                kernel, padding = layer.kernel_size[0], layer.padding[0]
                require_settings(
                    layer, kernel_size=kernel, stride=1, padding=padding, dilation=1, padding_mode="zeros", bias=None
                )
                settings = {"outputs": layer.out_channels, "kernel": kernel, "padding": padding, "groups": layer.groups}
                layers.append({"type": "convolve", **settings, "start": keep(layer.weight)})
            elif isinstance(layer, torch.nn.BatchNorm2d):
                require_settings(layer, affine=True, track_running_stats=True)
                layers.append({"type": "normalize", "start": keep(*fold_batchnorm(layer))})
            elif isinstance(layer, torch.nn.ReLU):
                layers.append({"type": "relu"})
            elif isinstance(layer, torch.nn.MaxPool2d | torch.nn.AvgPool2d):
                is_max, kernel = isinstance(layer, torch.nn.MaxPool2d), layer.kernel_size
                kernel = kernel if isinstance(kernel, int) else kernel[0]
                require_settings(layer, kernel_size=kernel, stride=kernel, padding=0, ceil_mode=False)
                require_settings(layer, **({"dilation": 1} if is_max else {"divisor_override": None}))
                layers.append({"type": "pool", "kernel": kernel, "max": is_max})
            elif not isinstance(layer, torch.nn.Dropout):
                raise ValueError(
                    f"{name} contains {layer}; the page can compute Conv2d, BatchNorm2d, ReLU, MaxPool2d and AvgPool2d"
                )
        layers[-1]["ends"] = name
    return layers, torch.cat(weights)


def require_settings(layer, **settings):
    """Raise ValueError unless each attribute of `layer` in `settings` has that value, or that value twice."""
    for name, value in settings.items():
        found = getattr(layer, name)
        if found not in (value, (value, value)):
            found = "set" if isinstance(found, torch.Tensor) else repr(found)
            raise ValueError(f"{layer}: {name} is {found}; the page can only compute {value!r}")


def fold_batchnorm(layer):
    """Return the scale and the shift of each channel that a trained BatchNorm amounts to, each float64 [C] on the CPU.

    Computed in float64, so that the float32 numbers are the same on nearly any processor.
    """
    names = ("weight", "bias", "running_mean", "running_var")
    weight, bias, mean, variance = (getattr(layer, name).detach().cpu().double() for name in names)
    scale = weight / (variance + layer.eps).sqrt()
    return scale, bias - mean * scale


def check_order(model):
    """Raise ValueError unless `model` computes what its children compute one after the other.

    The page sees the layers, not what `forward` does with them.
    """
    was_training, device = model.training, next(model.parameters()).device
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)).to(device)
    try:
        model.eval()
        with torch.inference_mode():
            found, expected = model(images).flatten(1), torch.nn.Sequential(*model.children())(images).flatten(1)
    finally:
        model.train(was_training)
    if found.shape != expected.shape or (found - expected).abs().max() > 1e-3 * expected.abs().max():
        raise ValueError(
            f"{type(model).__name__}.forward does more than apply {', '.join(dict(model.named_children()))} in this "
            "order; the page cannot compute that"
        )


def csp_hash(text):
    """Return the hash of `text` in the notation of a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def build(model, check=None):
    """Return the page with the weights of `model`, text. Its last line reports `check`, a row of page_check.csv.

    `model` is a `Net`, or any module for images [N, 1, 28, 28] whose children are Sequentials of layers that the page
    can compute, applied one after the other. Raises ValueError if it is not.
    """
    layers, weights = layers_of(model)
    check_order(model)
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, value in {
        "LAYERS": json.dumps(layers),
        "WEIGHTS": base64.b64encode(weights.numpy().astype("<f4").tobytes()).decode(),
        "PARAMETERS": f"{sum(p.numel() for p in model.parameters()):,}",
        "MEAN": str(MEAN),
        "STD": str(STD),
        "CHECK": footer(check) if check else "",
    }.items():
        page = page.replace(f"%{name}%", value)
    for name, tag in (("STYLE_HASH", "style"), ("SCRIPT_HASH", "script")):
        page = page.replace(f"%{name}%", csp_hash(re.search(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)[1]))
    return page


def footer(check):
    """Return the line that reports `check`, a row of page_check.csv."""
    difference = f"{float(check['largest_difference']):.6f}"
    return (
        "<footer><p>When this page was built, its forward pass was compared with PyTorch’s on all "
        f"{int(check['images']):,} test images of MNIST: the logits differ by at most {difference}.</p></footer>\n"
    )


def read_check():
    """Return the row of page_check.csv, or None if there is no such file."""
    if not CHECK.exists():
        return None
    with CHECK.open(newline="", encoding="utf-8") as file:
        return next(csv.DictReader(file))


def compare_with_pytorch(model, images, chrome):
    """Return the logits [N, 10] of uint8 `images` by the page that is open in `chrome`, and by PyTorch."""
    script = """
        const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0)), logits = [];
        for (let i = 0; i < bytes.length; i += 784) {
          logits.push(Array.from(forward(Float32Array.from(bytes.subarray(i, i + 784), (byte) => byte / 255)).logits));
        }
        return logits;
    """
    logits = []
    for batch in images.split(500):
        logits += chrome.execute_script(script, base64.b64encode(batch.numpy().tobytes()).decode())
    return torch.tensor(logits), utils.compute_logits(model, images)


def check_page(model):
    """Compare PAGE in Chromium with PyTorch on all test images; return a row of page_check.csv, None without Chromium.

    Ends the program if a logit differs by more than `TOLERANCE`.
    """
    from web.browser import MISSING, has_chrome, open_chrome  # which needs Selenium

    if not has_chrome():
        print(f"The page was not compared with PyTorch, and does not say so: that {MISSING}.")
        return None
    _, test = utils.load_mnist(HERE.parent / "data")
    with open_chrome() as chrome:
        chrome.get(PAGE.as_uri())
        found, expected = compare_with_pytorch(model, test.images, chrome)
        browser = f"Chromium {chrome.capabilities['browserVersion'].split('.')[0]}"
    difference = (found - expected).abs().max().item()
    if not difference <= TOLERANCE:
        sys.exit(f"{PAGE.name}: its logits differ from PyTorch's by {difference:.1e}, more than {TOLERANCE:.0e}")
    same_digit = int((found.argmax(dim=1) == expected.argmax(dim=1)).sum())
    return {
        "images": len(found),
        "same_digit": same_digit,
        "largest_difference": f"{difference:.1e}",
        "browser": browser,
        "torch": torch.__version__,
    }


class EmbeddedPage:
    """The page with the weights of `model`, for a notebook to display in a frame `height` pixels high."""

    def __init__(self, model, height=1350):
        self.page, self.height = build(model), height

    def _repr_html_(self):
        style = f"width: 100%; height: {self.height}px; border: 0"
        return f'<iframe title="Draw a digit" style="{style}" srcdoc="{html.escape(self.page)}"></iframe>'


def main():
    net = load_net()
    PAGE.write_text(build(net), encoding="utf-8")
    check = check_page(net)
    if check:
        with CHECK.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, check, lineterminator="\n")
            writer.writeheader()
            writer.writerow(check)
        PAGE.write_text(build(net, check), encoding="utf-8")
    else:
        CHECK.unlink(missing_ok=True)  # it was about another page
    print(f"{PAGE.name}: {PAGE.stat().st_size / 1000:.0f} kB; {check}")


if __name__ == "__main__":
    main()
