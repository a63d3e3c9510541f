"""What the notebook calls: the training loop, from `fit` down to the step, and the plots.

`fit` → `run_epoch` → `train_epoch` → `Trainer.step`, then `evaluate`. What these stand on lies in the folder training/,
a room a subject; the names in `__all__` that are defined there are handed on, so that `import utils` is all one needs.
"""

import copy
import itertools
import math
import os
import statistics
import sys
import time

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.ticker import LogLocator, NullFormatter
from tqdm import tqdm

from training import cpu
from training.augmentation import no_affines, normalize, random_affines, warp
from training.checkpoint import Checkpoint
from training.checks import require, require_count, require_logits, require_model, require_recipe, require_shares
from training.data import Split, load_mnist, require_images, require_split, shuffled_batches
from training.identity import identify
from training.optimizers import muon_and_adam, one_cycle
from training.trainer import Trainer

__all__ = [
    "TARGET_ACCURACY",
    "TARGET_EPOCH",
    "Split",
    "compute_logits",
    "evaluate",
    "fit",
    "load_mnist",
    "muon_and_adam",
    "no_affines",
    "normalize",
    "one_cycle",
    "pick_device",
    "plot_augmentation",
    "plot_class_balance",
    "plot_confusion",
    "plot_digits",
    "plot_history",
    "plot_learning_rate",
    "plot_mistakes",
    "plot_parameters",
    "plot_stages",
    "random_affines",
    "set_seed",
]

# The claim: this share of the test set classified correctly, within this many epochs.
TARGET_ACCURACY, TARGET_EPOCH = 0.994, 10


def pick_device():
    """Return the accelerator that torch finds (CUDA, Apple's MPS, …), else the CPU."""
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


def set_seed(seed):
    """Seed torch on every device, and keep cuDNN to kernels that repeat bit for bit and compute in full float32.

    TensorFloat-32, the default of recent GPUs for convolutions, keeps 10 bits of the 23: a network of this size has no
    need of its speed, and its results would no longer be those of a CPU up to rounding.
    """
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False


def in_ipython():
    """Return whether a person can look at what was returned: in a notebook, or at IPython's prompt."""
    ipython = sys.modules.get("IPython")  # not imported here: where nobody has, it is not what runs
    return ipython is not None and ipython.get_ipython() is not None


# --- Training --------------------------------------------------------------------------------------------------------


def fit(
    model,
    train,
    test,
    epochs=15,
    batch_size=128,
    optimizers=muon_and_adam,
    lr=0.15,
    schedule=one_cycle,
    averaging=0.998,
    augment=random_affines,
    seed=0,
    extra=None,
    checkpoint=None,
):
    """Train `model` on the `Split` `train`, look at `test` after each epoch, and return the history.

    The history is a list with a dictionary an epoch: `epoch`, `train_loss`, `train_accuracy`, `test_loss`,
    `test_accuracy` and `seconds`; accuracies are fractions. Training accuracy is that of the weights being trained,
    on augmented images and with each batch's own BatchNorm statistics; test accuracy is that of the averaged weights,
    which are also what `model` holds at the end, in evaluation mode. Shuffling and augmentation depend on `seed`
    alone, not on the device.

    `averaging` is the decay of the weights' exponential moving average (Polyak and Juditsky, 1992; Tarvainen and
    Valpola, "Mean teachers", 2017, section 2); 0 averages nothing. The other pieces of the recipe are functions:
    `optimizers(model, lr)` returns a list of them, `schedule(steps)` each step's share of their learning rates, and
    `augment(n, generator=…)` an epoch's maps for `warp`; `no_affines` leaves the images as they are. `extra(trainer)`,
    if given, returns a dictionary of what else each row is to hold.

    With a path as `checkpoint`, the run is kept there after every epoch but the last. Called again after whatever ended
    it, `fit` prints what was printed, goes on after the last epoch kept, and ends in the same weights and history, bit
    for bit on the same machine, whatever weights `model` comes with. `extra` and all that the recipe's functions call
    are to be the same, which is not checked. A complete run removes its checkpoint.

    Interrupted (Ctrl-C, Stop), `fit` leaves `model` and checkpoint as they were after the last whole epoch. In IPython,
    a notebook say, it then returns the history so far. Anywhere else the KeyboardInterrupt goes on to whoever called
    it, so that no script takes a part of a run for the whole.

    Where other programs keep cores busy that torch has threads for, a warning says so once. Raises ValueError for
    arguments that do not fit, for the checkpoint of another run, and for one that cannot be written, all before any
    training, and where `extra` returns no dictionary; FloatingPointError where the loss is not finite, with `model` and
    checkpoint as after the epoch before.
    """
    recipe = {"epochs": epochs, "batch_size": batch_size, "optimizers": optimizers, "lr": lr, "schedule": schedule}
    recipe |= {"averaging": averaging, "augment": augment, "seed": seed}
    require_recipe(recipe)
    require_split("train", train)
    device = train.images.device
    require_split("test", test, device)
    require_model(model)
    require(extra is None or callable(extra), "extra", extra, "a function, or None")
    is_path = isinstance(checkpoint, str | os.PathLike) and os.fspath(checkpoint) != ""
    require(checkpoint is None or is_path, "checkpoint", checkpoint, "a path, or None")
    maps = augment(2, generator=torch.Generator())
    good = isinstance(maps, torch.Tensor) and maps.shape == (2, 2, 3) and maps.isfinite().all()
    require(good, "augment(2)", maps, "a tensor [2, 2, 3] of finite numbers")
    compute_logits(model.to(device), train.images[:2])  # so that what it returns is looked at

    set_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * math.ceil(len(train.labels) / batch_size)
    shares = schedule(steps)
    require_shares(steps, shares)
    trainer = Trainer(model, train, shares, batch_size, optimizers, lr, averaging)
    history, log, kept = [], [], None
    if checkpoint is not None:
        loop = {"loop": (fit, run_epoch, train_epoch, evaluate, compute_logits)}
        kept = Checkpoint(checkpoint, identify(model, train, test, recipe | loop))
        history, log = kept.resume(trainer, generator)
        print("".join(log), end="")
    if device.type == "cpu":
        cpu.warn_where_busy()
    ended = copy.deepcopy(model.state_dict())  # the averaged weights after the last whole epoch
    try:
        for epoch in range(len(history) + 1, epochs + 1):
            row, lines = run_epoch(trainer, test, epoch, augment, generator)
            if extra:
                more = extra(trainer) or {}
                require(isinstance(more, dict), "what extra returns", more, "a dictionary, or None")
                row |= more
            # In one assignment, so that Ctrl-C finds all of it done or nothing.
            history, log, ended = [*history, row], [*log, lines], copy.deepcopy(model.state_dict())
            if kept and epoch < epochs:
                kept.save(trainer, generator, history, log)
    except KeyboardInterrupt:
        model.load_state_dict(ended)
        again = "Run again to go on." if kept else "A run with a checkpoint can go on after it was stopped."
        print(f"\nStopped after {len(history)} of {epochs} epochs. {again}")
        if not in_ipython():
            raise
        return history
    except FloatingPointError as error:
        model.load_state_dict(ended)
        raise FloatingPointError(f"epoch {epoch}, {error}; try a lower lr than {lr}") from error
    if kept:
        kept.remove()
    return history


def run_epoch(trainer, test, epoch, augment, generator):
    """Train one epoch and look at `test`; return the row of the history, a dictionary, and what was printed, text."""
    start = time.perf_counter()
    title = f"EPOCH: {epoch}"
    print(title)
    order = shuffled_batches(len(trainer.split.labels), len(trainer.rows), generator)
    affines = augment(len(trainer.split.labels), generator=generator)
    train_loss, train_accuracy, bar = train_epoch(trainer, (epoch - 1) * len(order), order, affines)
    test_loss, test_accuracy = evaluate(trainer.averaged, test)
    if not math.isfinite(test_loss):
        raise FloatingPointError(f"step {len(order)}: the loss on the test images is {test_loss}")
    correct, total = round(test_accuracy * len(test.labels)), len(test.labels)
    verdict = f"Test set: Average loss: {test_loss:.4f}, Accuracy: {correct}/{total} ({100 * test_accuracy:.2f}%)\n"
    print(verdict)
    row = {
        "epoch": epoch,
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
        "seconds": time.perf_counter() - start,
    }
    return row, f"{title}\n{bar}\n{verdict}\n"


def train_epoch(trainer, first_step, order, affines):
    """Train one epoch under a progress bar; return mean loss, accuracy (a fraction) and the bar as it ended, text.

    The bar reads from the device, which waits for it, twice a second and not once a step. Raises FloatingPointError
    where a loss is not finite.
    """
    steps, batch_size = order.shape
    layout = "{desc}: {percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
    with tqdm(total=steps, bar_format=layout, file=sys.stdout, mininterval=0) as bar:
        shown = time.monotonic()
        for done in trainer.epoch(first_step, order, affines):
            if done == steps or time.monotonic() - shown > 0.5:
                losses = trainer.losses[first_step : first_step + done].tolist()
                accuracy = trainer.correct.item() / (done * batch_size)
                state = f"Loss={losses[-1]} Batch_id={done - 1} Accuracy={100 * accuracy:.2f}"
                bar.set_description_str(state, refresh=False)
                bar.update(done - bar.n)
                shown = time.monotonic()
                for step, loss in enumerate(losses, start=1):
                    if not math.isfinite(loss):
                        raise FloatingPointError(f"step {step}: the loss is {loss}")
        return statistics.fmean(losses), accuracy, str(bar)


# --- Evaluation ------------------------------------------------------------------------------------------------------


def evaluate(model, split):
    """Return the mean cross-entropy of `model` over `split` and its accuracy, a fraction."""
    require_split("split", split)
    logits = compute_logits(model, split.images)
    correct = (logits.argmax(dim=1) == split.labels).sum()
    return F.cross_entropy(logits, split.labels).item(), correct.item() / len(split.labels)


@torch.inference_mode()
def compute_logits(model, images, batch_size=2500):
    """Return the logits of uint8 `images` [N, 1, 28, 28], float32 [N, 10], with `model` in evaluation mode."""
    require_images("images", images, next(model.parameters(), images).device)
    cpu.keep_freed_memory()
    was_training = model.training
    model.eval()
    logits = [model(normalize(batch)) for batch in images.split(batch_size)]
    model.train(was_training)
    for batch, own in zip(images.split(batch_size), logits, strict=True):
        require_logits(own, len(batch), "what model returns")
    return torch.cat(logits)


# --- Plots -----------------------------------------------------------------------------------------------------------

# Two of the colour-blind safe colours of Okabe and Ito, and a grey.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#777777"


def canvas(rows=1, columns=1, width=9.0, height=3.6, **options):
    """Return a figure and its axes, sized in inches for GitHub's column and shown only where it is returned."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), dpi=100, layout="constrained", **options)
    plt.close(figure)
    return figure, axes


def show_image(axes, image, title=""):
    """Draw one image, [1, 28, 28] or [28, 28], black on white and without ticks."""
    axes.imshow(image.cpu().reshape(28, 28).numpy(), cmap="gray_r", vmin=0, vmax=255)
    axes.set(xticks=[], yticks=[])
    axes.set_title(title, fontsize=9, pad=3)


def plot_digits(split, columns=12):
    """Return a figure with a row a class, each the first `columns` images of that class."""
    require_split("split", split)
    require_count("columns", columns)
    figure, axes = canvas(10, columns, height=7.6, squeeze=False)
    for digit, row in enumerate(axes):
        for cell, image in zip(row, split.images[split.labels == digit], strict=False):
            show_image(cell, image)
        row[0].set_ylabel(digit, rotation=0, labelpad=12, va="center")
    for number, cell in enumerate(axes[0], start=1):
        cell.set_title(number, fontsize=10)
    figure.supylabel("label")
    figure.supxlabel(f"the first {columns} images of each class" if columns > 1 else "the first image of each class")
    return figure


def plot_class_balance(train, test):
    """Return a bar chart of each class's share of the two splits, in percent."""
    figure, axes = canvas(height=2.8)
    for split, name, colour, offset in ((train, "training", BLUE, -0.2), (test, "test", ORANGE, 0.2)):
        share = (100 * torch.bincount(split.labels.cpu(), minlength=10) / len(split.labels)).tolist()
        places = [digit + offset for digit in range(10)]
        axes.bar(places, share, width=0.4, color=colour, label=f"{name}, {len(split.labels):,}")
    axes.axhline(10, color=GREY, linewidth=1, linestyle="--", label="an even share")
    axes.set(xlabel="class", ylabel="share of the images (%)", xticks=range(10), ylim=(0, 14))
    axes.legend(ncols=3, loc="upper center")
    return figure


def plot_augmentation(images, generator=None):
    """Return a figure with a row for each of `images` [N, 1, 28, 28]: as it is, then through eight `random_affines`."""
    figure, axes = canvas(len(images), 9, height=1.2 * len(images), squeeze=False)
    for image, row in zip(images, axes, strict=True):
        affines = random_affines(8, generator=generator).to(image.device)
        show_image(row[0], image)
        for cell, seen in zip(row[1:], warp(image.expand(8, 1, 28, 28), affines), strict=True):
            show_image(cell, seen)
    axes[0][0].set_title("as it is", fontsize=9, pad=3)
    axes[0][4].set_title("as eight epochs may show it", fontsize=9, pad=3)
    return figure


def plot_parameters(model):
    """Return a bar chart of how many parameters each layer of `model` has, and how much of its input it sees."""
    names, counts, fields = [], [], []
    field, stride = 1, 1  # receptive field and distance between neighbours, in input pixels
    for layer in model.modules():
        if hasattr(layer, "kernel_size"):
            kernel = layer.kernel_size if isinstance(layer.kernel_size, int) else layer.kernel_size[0]
            field += (kernel - 1) * stride
            stride *= layer.stride if isinstance(layer.stride, int) else layer.stride[0]
            names.append(f"{type(layer).__name__} {kernel}×{kernel}")
            counts.append(sum(p.numel() for p in layer.parameters()))
            fields.append(field)
    figure, (left, right) = canvas(1, 2, height=3.8, sharey=True)
    places = range(len(names))
    for axes, values, colour, label in (
        (left, counts, BLUE, "parameters"),
        (right, fields, ORANGE, "receptive field (input pixels, one side)"),
    ):
        axes.bar_label(axes.barh(places, values, color=colour), fmt="{:,.0f}", padding=2, fontsize=8)
        axes.set(xlabel=label)
        axes.margins(x=0.12)
    left.set(yticks=places, yticklabels=names, ylabel="layer, from input to logits")
    left.invert_yaxis()
    right.axvline(28, color=GREY, linestyle="--", label="the image's width")
    right.legend(loc="upper right")
    return figure


def plot_learning_rate(rates, epochs):
    """Return a line chart of the learning rate of every step, `rates` [steps], over `epochs` epochs."""
    figure, axes = canvas(height=2.6)
    axes.plot([step * epochs / len(rates) for step in range(len(rates))], rates.tolist(), color=BLUE)
    axes.set(xlabel="epochs done", ylabel="learning rate", xlim=(0, epochs), ylim=(0, None))
    return figure


def plot_history(history):
    """Return loss and accuracy of every epoch in `history`, with the claim's accuracy and epoch marked.

    Both axes are logarithmic, that of the accuracy in the share of errors: 80 % and 99.5 % are seen equally well.
    """
    require(len(history) > 0, "history", history, "what fit returned after an epoch or more")
    epochs = [row["epoch"] for row in history]
    figure, (left, right) = canvas(1, 2)
    for part, colour, marker, name in (("train", BLUE, "o", "training, augmented"), ("test", ORANGE, "s", "test")):
        style = {"color": colour, "marker": marker, "markersize": 4, "label": name}
        left.plot(epochs, [row[f"{part}_loss"] for row in history], **style)
        # No error at all has no logarithm: it is drawn as one in 20,000.
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
    right.set(ylabel="accuracy (%), errors on a log scale")
    right.yaxis.set_major_formatter(lambda errors, _: f"{100 - errors:g}")
    right.invert_yaxis()
    return figure


@torch.inference_mode()
def plot_stages(model, image):
    """Return a figure of what each stage of `model` makes of `image`, uint8 [1, 28, 28]: feature maps, then the answer.

    The children of `model` are its stages, one after another, and the last one's output is the logits. Each map is
    drawn in its own scale, from white, its least value, to black.
    """
    figure, axes = canvas(2, 3, height=5.4)
    show_image(axes.flat[0], image, "the image")
    features = normalize(image[None])
    *stages, (name, last) = model.eval().named_children()
    between = plt.get_cmap("gray_r").with_extremes(bad=BLUE)
    for cell, (stage_name, stage) in zip(axes.flat[1:], stages, strict=False):
        features = stage(features)
        maps = features[0] - features[0].amin(dim=(1, 2), keepdim=True)
        maps = maps / maps.amax(dim=(1, 2), keepdim=True).clamp(min=1e-9)
        n, height, width = maps.shape
        columns = 4 if n <= 16 else 8
        tiles = F.pad(maps, (1, 1, 1, 1), value=math.nan).unflatten(0, (-1, columns))
        cell.imshow(tiles.transpose(1, 2).flatten(2).flatten(0, 1).cpu().numpy(), cmap=between)
        cell.set(xticks=[], yticks=[])
        cell.set_title(f"{stage_name}: {n} maps of {height}×{width}", fontsize=9, pad=3)
    chances = (100 * last(features).flatten(1).softmax(dim=1)[0]).tolist()
    axes.flat[-1].bar(range(10), chances, color=[ORANGE if chance == max(chances) else BLUE for chance in chances])
    axes.flat[-1].set(xlabel="digit", ylabel="probability (%)", xticks=range(10), ylim=(0, 100))
    axes.flat[-1].set_title(f"{name}: the answer", fontsize=9, pad=3)
    return figure


def plot_confusion(logits, labels):
    """Return the confusion matrix of `logits` [N, 10] against `labels` [N], in images; colour counts mistakes only."""
    require_logits(logits, len(labels))
    counts = torch.zeros(10, 10, dtype=torch.int64)
    counts.index_put_((labels.cpu(), logits.argmax(dim=1).cpu()), torch.tensor(1), accumulate=True)
    mistakes = counts.clone().fill_diagonal_(0)
    figure, axes = canvas(width=6.5, height=5.5)
    picture = axes.imshow(mistakes.numpy(), cmap="Oranges", vmin=0, vmax=max(1, mistakes.max().item()))
    for label, predicted in itertools.product(range(10), range(10)):
        if counts[label, predicted]:
            colour = "white" if mistakes[label, predicted] > 0.6 * mistakes.max() else "black"
            axes.text(predicted, label, f"{counts[label, predicted]:,}", color=colour, ha="center", va="center")
    axes.set(xlabel="predicted digit", ylabel="label", xticks=range(10), yticks=range(10))
    figure.colorbar(picture, label="mistakes (images)")
    return figure


def plot_mistakes(logits, split, most=32):
    """Return a figure of the images that `logits` [N, 10] gets wrong, the surest first, `most` at the most."""
    require_split("split", split)
    require_logits(logits, len(split.labels))
    require_count("most", most)
    probabilities, predicted = logits.softmax(dim=1).max(dim=1)
    wrong = torch.where(predicted != split.labels)[0]
    # To four digits, and then in the order of the images: what is equally sure may differ in the last place.
    wrong = wrong[(1e4 * probabilities[wrong]).round().argsort(descending=True, stable=True)][:most]
    rows = max(1, math.ceil(len(wrong) / 8))
    figure, axes = canvas(rows, 8, height=1.5 * rows)
    for cell in axes.flat:
        cell.axis("off")
    for cell, i in zip(axes.flat, wrong.tolist(), strict=False):
        title = f"{split.labels[i]}, predicted {predicted[i]}\n{100 * probabilities[i]:.0f} % sure"
        show_image(cell, split.images[i], title)
        cell.axis("on")
    return figure
