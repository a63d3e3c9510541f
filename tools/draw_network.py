"""Draw the 43 layers of `Net`, stage by stage, as images/network.svg: `make drawing`"""

from html import escape
from pathlib import Path

import torch
from torch import nn

from model import Net

SVG = Path(__file__).resolve().parent.parent / "images" / "network.svg"
# In pixels: widths of the image, a stage, the left margin and a bar; top of the first bar, distance between bars.
WIDTH, COLUMN, LEFT, BAR = 900, 150, 12, 126
TOP, LINE = 158, 19

# Fill and text colour of each kind of layer, from the palette of Okabe and Ito.
KINDS = {
    "3×3 convolution": ("#0072B2", "#ffffff"),
    "depthwise 3×3": ("#56B4E9", "#000000"),
    "1×1 convolution": ("#b9def4", "#000000"),
    "pooling": ("#E69F00", "#000000"),
    "the rest": ("#ececec", "#000000"),
}


def kind_of(layer):
    """Return the key of `KINDS` for `layer`."""
    if isinstance(layer, nn.Conv2d):
        if layer.kernel_size == (1, 1):
            return "1×1 convolution"
        return "3×3 convolution" if layer.groups == 1 else "depthwise 3×3"
    return "pooling" if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d) else "the rest"


def name_of(layer):
    """Return the label of `layer`: kernel size and channels of a convolution, otherwise the type."""
    if not isinstance(layer, nn.Conv2d):
        return type(layer).__name__.removesuffix("2d")
    size = f"{layer.kernel_size[0]}×{layer.kernel_size[1]}"
    return f"{size} each" if layer.groups > 1 else f"{size} {layer.in_channels}→{layer.out_channels}"


def count(module):
    return sum(p.numel() for p in module.parameters())


def text(x, y, words, size=12, ink="#000000", anchor="start", weight="normal"):
    style = f'font-size="{size}" fill="{ink}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(words)}</text>'


def box(x, y, width, height, fill, stroke="none"):
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" stroke="{stroke}"/>'


def maps(x, shape):
    """Return feature maps of `shape`, [channels, height, width], as a stack of squares that begins at `x`."""
    channels, side = shape[0], max(5, 3 * shape[1])
    step = min(4, 40 / channels)
    return [box(x + step * i, 104 - side - step * i, side, side, "#ffffff", "#0072B2") for i in range(channels)]


def bar(x, y, number, layer):
    """Return the bar of `layer` at `x` and `y`: its number, its label and its parameters, if it has any."""
    fill, ink = KINDS[kind_of(layer)]
    parts = [box(x, y, BAR, LINE - 2, fill), text(x + 4, y + 13, str(number), 10, ink)]
    parts.append(text(x + 22, y + 13, name_of(layer), 11, ink))
    if parameters := count(layer):
        parts.append(text(x + BAR - 4, y + 13, f"{parameters:,}", 11, ink, "end"))
    return parts


def column(x, name, shape, bars=()):
    """Return one column: the feature maps of `shape`, `name`, the shape as text, and `bars` below."""
    channels, height, width = shape
    words = f"{channels} × {height}×{width}"
    return [*maps(x, shape), text(x, 128, name, 14, weight="bold"), text(x, 145, words), *bars]


def legend():
    parts = []
    for row, (kind, (fill, _)) in enumerate(KINDS.items()):
        y = TOP + 22 * row
        parts += [box(LEFT, y, 14, 14, fill), text(LEFT + 20, y + 12, kind, 11)]
    for row, words in enumerate(("left: the layer's number", "right: its parameters")):
        parts.append(text(LEFT, TOP + 22 * len(KINDS) + 14 + 16 * row, words, 11, "#555555"))
    return parts


@torch.no_grad()
def draw(net):
    """Return the drawing of `net`, a `Net` whose children are its stages, as SVG text."""
    features = torch.zeros(1, 1, 28, 28)
    parts = column(LEFT, "image", features.shape[1:], legend())
    number = 0
    for i, (name, stage) in enumerate(net.eval().named_children(), start=1):
        x, bars = LEFT + COLUMN * i, []
        for row, layer in enumerate(stage):
            number += 1
            bars += bar(x, TOP + LINE * row, number, layer)
        total = f"{count(stage):,} in all"
        bars.append(text(x + BAR - 4, TOP + LINE * len(stage) + 14, total, 12, anchor="end", weight="bold"))
        features = stage(features)
        parts += column(x, name, features.shape[1:], bars)
    height = TOP + LINE * max(len(stage) for stage in net.children()) + 26
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="Helvetica, Arial, sans-serif">',
            f"<title>{number} layers in five stages, {count(net):,} parameters</title>",
            box(0, 0, WIDTH, height, "#ffffff"),
            *parts,
            "</svg>\n",
        ]
    )


if __name__ == "__main__":
    SVG.write_text(draw(Net()), encoding="utf-8")
