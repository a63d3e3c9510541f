"""The figures of the notebook. Each `plot_` function returns a matplotlib figure."""

import itertools
import math

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from training.augmentation import random_affines, warp
from training.data import normalize
from training.modes import evaluation_mode
from training.validation import require, require_images, require_int, require_logits, require_split

# The goal: more than this fraction of the test images classified correctly, within this many epochs.
TARGET_ACCURACY, TARGET_EPOCH = 0.994, 10

# Two colour-blind safe colours of Okabe and Ito, and a grey.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"

# A decorator for functions that draw: black on white, regardless of the caller's matplotlib style.
default_style = plt.style.context("default")


def new_figure(rows=1, columns=1, width=9.0, height=3.6, **options):
    """Return a new figure and its axes, in inches for GitHub's column width; it is shown only if it is returned."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), dpi=100, layout="constrained", **options)
    plt.close(figure)
    return figure, axes


def show_image(axes, image, title=""):
    """Draw one image, [1, 28, 28] or [28, 28], black on white and without ticks."""
    axes.imshow(image.cpu().reshape(28, 28).numpy(), cmap="gray_r", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9, pad=3)


@default_style
def plot_digits(split, columns=12):
    """Draw the first `columns` images of each class of `split`, one row per class."""
    require_split("split", split)
    require_int("columns", columns)
    no_ticks = {"xticks": [], "yticks": []}
    figure, axes = new_figure(10, columns, height=7.6, squeeze=False, subplot_kw=no_ticks)
    for digit, row in enumerate(axes):
        for cell, image in zip(row, split.images[split.labels == digit], strict=False):
            show_image(cell, image)
        row[0].set_ylabel(digit, rotation=0, labelpad=12, va="center")
    for number, cell in enumerate(axes[0], start=1):
        cell.set_title(number, fontsize=10)
    figure.supylabel("label")
    figure.supxlabel(f"the first {columns} images of each class")
    return figure


@default_style
def plot_class_balance(train, test):
    """Draw the percentage of images of each class in the two splits."""
    figure, axes = new_figure(height=2.8)
    for split, name, colour, offset in ((train, "training", BLUE, -0.2), (test, "test", ORANGE, 0.2)):
        percent = (100 * torch.bincount(split.labels.cpu(), minlength=10) / len(split.labels)).tolist()
        positions = [digit + offset for digit in range(10)]
        axes.bar(positions, percent, width=0.4, color=colour, label=f"{name}, {len(split.labels):,}")
    axes.axhline(10, color=GREY, linewidth=1, linestyle="--", label="perfectly even")
    axes.set(xlabel="class", ylabel="images (%)", xticks=range(10))
    axes.margins(y=0.25)  # room for the legend
    axes.legend(ncols=3, loc="upper center")
    return figure


@default_style
def plot_augmentation(images, generator=None):
    """Draw uint8 `images` [N, 1, 28, 28], each through eight `random_affines`: four as in training, four 4× stronger.

    An orange outline shows where the original was.
    """
    require_images("images", images)
    figure, axes = new_figure(len(images), 9, height=1.12 * len(images), squeeze=False)
    for image, row in zip(images, axes, strict=True):
        usual = random_affines(4, generator=generator)
        strong = random_affines(4, *(4 * limit for limit in random_affines.__defaults__[:4]), generator=generator)
        affines = torch.cat([usual, strong]).to(image.device)
        show_image(row[0], image)
        for cell, warped in zip(row[1:], warp(image.expand(8, 1, 28, 28), affines), strict=True):
            show_image(cell, warped)
            cell.contour(image[0].cpu().numpy(), levels=[127], colors=ORANGE, linewidths=0.8)
    axes[0][0].set_title("original", fontsize=9, pad=3)
    axes[0][2].set_title("as in training", fontsize=9, pad=3)
    axes[0][6].set_title("four times as strong, to show the effect", fontsize=9, pad=3)
    return figure


@default_style
def plot_parameters(model):
    """Draw how many parameters each layer of `model` has, and its receptive field."""
    names, counts, fields = [], [], []
    field, stride = 1, 1  # receptive field and distance between neighbouring values, in input pixels
    for layer in model.modules():
        if hasattr(layer, "kernel_size"):
            kernel = layer.kernel_size if isinstance(layer.kernel_size, int) else layer.kernel_size[0]
            field += (kernel - 1) * stride
            stride *= layer.stride if isinstance(layer.stride, int) else layer.stride[0]
            names.append(f"{type(layer).__name__} {kernel}×{kernel}")
            counts.append(sum(p.numel() for p in layer.parameters()))
            fields.append(field)
    figure, (left, right) = new_figure(1, 2, height=3.8, sharey=True)
    panels = ((left, counts, BLUE, "parameters"), (right, fields, ORANGE, "receptive field (input pixels, one side)"))
    for axes, values, colour, label in panels:
        axes.bar_label(axes.barh(range(len(names)), values, color=colour), fmt="{:,.0f}", padding=2, fontsize=8)
        axes.set(xlabel=label)
        axes.margins(x=0.12)
    left.set(yticks=range(len(names)), yticklabels=names, ylabel="layer, from input to logits")
    left.invert_yaxis()
    right.axvline(28, color=GREY, linestyle="--", label="width of the image")
    right.legend(loc="upper right")
    return figure


@default_style
@torch.inference_mode()
def plot_stages(model, image):
    """Draw the feature maps after each stage of `model` for one `image`, uint8 [1, 28, 28], and the answer.

    The children of `model` are its stages, in order; the last one returns the logits. Each map has its own scale, from
    white, its lowest value, to black, its highest. `model` keeps its mode.
    """
    is_image = isinstance(image, torch.Tensor) and image.dtype == torch.uint8 and image.shape == (1, 28, 28)
    require(is_image, "image", image, "one image, uint8 [1, 28, 28]")
    features, stages = normalize(image[None]), []
    with evaluation_mode(model):
        for name, stage in model.named_children():
            features = stage(features)
            stages.append((name, features))
    is_like_net = len(stages) > 1 and all(maps.ndim == 4 for _, maps in stages) and features.numel() == 10
    require(is_like_net, "model", model, "like Net, stages that return maps [N, C, H, W], the last one logits")
    figure, axes = new_figure(math.ceil((len(stages) + 1) / 3), 3, width=8.4, height=6.0)
    show_image(axes.flat[0], image, "input: 28×28")
    for cell, (name, maps) in zip(axes.flat[1:], stages[:-1], strict=False):
        count, height, width = maps.shape[1:]
        cell.imshow(tile(maps[0]).cpu().numpy(), cmap=plt.get_cmap("gray_r").with_extremes(bad=BLUE))
        cell.set(xticks=[], yticks=[])
        cell.set_title(f"{name}: {count} maps of {height}×{width}", fontsize=9, pad=3)
    probabilities = (100 * features.flatten().softmax(dim=0)).tolist()
    colours = [ORANGE if probability == max(probabilities) else BLUE for probability in probabilities]
    axes.flat[-1].bar(range(10), probabilities, color=colours)
    axes.flat[-1].set(xlabel="digit", ylabel="probability (%)", xticks=range(10), ylim=(0, 100), box_aspect=1)
    axes.flat[-1].set_title(f"{stages[-1][0]}: the answer", fontsize=9, pad=3)
    return figure


def tile(maps, side=252, gutter=4):
    """Return float `maps` [C, H, W] as one square picture [side, side], each map scaled to 0–1, NaN between them."""
    columns = math.ceil(math.sqrt(len(maps)))
    size = (side - gutter) // columns - gutter
    low, high = (extreme(dim=(1, 2), keepdim=True) for extreme in (maps.amin, maps.amax))
    scaled = F.interpolate(((maps - low) / (high - low).clamp(min=1e-9))[None], size=(size, size))[0]  # nearest
    picture = torch.full((side, side), math.nan, device="cpu")
    for number, image in enumerate(scaled):
        top, left = (gutter + (size + gutter) * place for place in divmod(number, columns))
        picture[top : top + size, left : left + size] = image
    return picture


@default_style
def plot_learning_rate(rates, epochs):
    """Draw the learning rate of every step, `rates` [steps], over `epochs` epochs."""
    figure, axes = new_figure(height=2.6)
    axes.plot([step * epochs / len(rates) for step in range(len(rates))], rates.tolist(), color=BLUE)
    axes.set(xlabel="epoch", ylabel="learning rate", xlim=(0, epochs), ylim=(0, None))
    return figure


@default_style
def plot_history(history):
    """Draw loss and accuracy of every epoch in `history`, what `fit` returned, with the 99.4% line and epoch 10.

    Both axes are logarithmic, the accuracy's in the errors, so that 80% and 99.5% can both be read.
    """
    require(len(history) > 0, "history", history, "what fit returned after at least one epoch")
    epochs = [row["epoch"] for row in history]
    figure, (left, right) = new_figure(1, 2)
    for part, colour, marker, name in (("train", BLUE, "o", "training, augmented"), ("test", ORANGE, "s", "test")):
        style = {"color": colour, "marker": marker, "markersize": 4, "label": name}
        left.plot(epochs, [row[f"{part}_loss"] for row in history], **style)
        # The logarithm of 0 errors does not exist: draw 0.005% instead.
        right.plot(epochs, [max(0.005, 100 * (1 - row[f"{part}_accuracy"])) for row in history], **style)
    target = 100 * (1 - TARGET_ACCURACY)
    right.axhline(target, color="black", linewidth=1, linestyle="--", label=f"{TARGET_ACCURACY:.1%}")
    for axes in (left, right):
        if epochs[-1] >= TARGET_EPOCH:
            axes.axvline(TARGET_EPOCH, color=GREY, linestyle=":", label=f"epoch {TARGET_EPOCH}")
        axes.set(xlabel="epoch", xticks=epochs, yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend()
    left.set(ylabel="cross-entropy (nats)")
    left.yaxis.set_major_formatter("{x:g}")
    right.set(ylabel="accuracy (%), log scale of the errors")
    right.yaxis.set_major_formatter(lambda errors, _: f"{100 - errors:g}")
    right.invert_yaxis()
    return figure


@default_style
def plot_confusion(logits, labels):
    """Draw the confusion matrix of `logits` [N, 10] against `labels` [N], in images; only mistakes are coloured."""
    require_logits(logits, len(labels))
    counts = torch.bincount((10 * labels + logits.argmax(dim=1)).cpu(), minlength=100).view(10, 10)
    mistakes = counts.clone().fill_diagonal_(0)
    figure, axes = new_figure(width=6.5, height=5.5)
    image = axes.imshow(mistakes.numpy(), cmap="Oranges", vmin=0, vmax=max(1, mistakes.max().item()))
    for label, predicted in itertools.product(range(10), range(10)):
        if counts[label, predicted]:
            colour = "white" if mistakes[label, predicted] > 0.6 * mistakes.max() else "black"
            axes.text(predicted, label, f"{counts[label, predicted]:,}", color=colour, ha="center", va="center")
    axes.set(xlabel="predicted digit", ylabel="label", xticks=range(10), yticks=range(10))
    figure.colorbar(image, label="mistakes (images)", ticks=MaxNLocator(integer=True))
    return figure


@default_style
def plot_mistakes(logits, split, most=32, votes=None):
    """Draw the images that `logits` [N, 10] misclassifies, the most confident mistakes first, at most `most`.

    `votes`, if given, maps the index of an image to how many of five human raters confirmed its label; those images
    get an orange frame and the count.
    """
    require_split("split", split)
    require_logits(logits, len(split.labels))
    require_int("most", most)
    votes = votes or {}
    probabilities, predicted = logits.softmax(dim=1).max(dim=1)
    wrong = torch.where(predicted != split.labels)[0]
    # Round to four decimals and break ties by index, so that the order doesn't depend on the last bit.
    wrong = wrong[(1e4 * probabilities[wrong]).round().argsort(descending=True, stable=True)][:most].tolist()
    rows = max(1, math.ceil(len(wrong) / 8))
    figure, axes = new_figure(rows, 8, height=0.4 + 1.45 * rows, squeeze=False)
    figure.suptitle("label → prediction (confidence)", fontsize=10)
    for cell in axes.flat:
        cell.axis("off")
    for cell, i in zip(axes.flat, wrong, strict=False):
        show_image(cell, split.images[i], f"{split.labels[i]} → {predicted[i]} ({100 * probabilities[i]:.0f}%)")
        cell.axis("on")
        if i in votes:
            cell.set_xlabel(f"raters for {split.labels[i]}: {votes[i]} of 5", fontsize=8, color=ORANGE, labelpad=2)
            for side in cell.spines.values():
                side.set(color=ORANGE, linewidth=2)
    return figure
