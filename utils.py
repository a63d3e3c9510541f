"""The training loop: `train_step` → `train_epoch` → `fit`, and the evaluation of a model.

What the loop is built from is in training/, one module per topic, and the figures are in plots.py. Their public names
are imported here, so `import utils` is enough.
"""

# ruff: noqa: F401 - some names are imported for those who import utils
import math
import os
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from tqdm import tqdm

from model import save_weights
from plots import (
    TARGET_ACCURACY,
    TARGET_EPOCH,
    plot_augmentation,
    plot_class_balance,
    plot_confusion,
    plot_digits,
    plot_history,
    plot_learning_rate,
    plot_mistakes,
    plot_parameters,
    plot_stages,
)
from training import validation
from training.augmentation import identity_affines, random_affines, warp
from training.checkpoint import Checkpoint
from training.data import Split, hold_out, load_mnist, make_batch, normalize, shuffled_batches
from training.modes import evaluation_mode, training_modes
from training.optimizers import muon_and_adam, one_cycle
from training.speedups import make_run_step
from training.state import TrainState


def train_step(state):
    """Take one training step on the batch that is selected in `state`, a `TrainState`.

    A GPU captures this once and replays it, so nothing in it may be read back to the host.
    """
    images, labels = make_batch(state.train, state.batch_indices, state.affines)  # [B, 1, 28, 28], [B]
    logits = state.live_model(images)  # forward: [B, 10]
    loss = F.cross_entropy(logits, labels)
    state.live_model.zero_grad()
    loss.backward()  # the gradient of the loss with respect to every weight
    for optimizer in state.optimizers:
        optimizer.step()  # move every weight against its gradient
    state.update_ema()
    state.record(loss, logits, labels)


def train_epoch(state, run_step, order, affines, first_step=0, verbose=True):
    """Train for one epoch; return its mean loss and its accuracy, a fraction.

    `run_step()` takes one training step. `order`, int64 [steps, batch_size], has the image indices of every batch, and
    `affines` [N, 2, 3] one map per image. `first_step` is the number of steps taken before this epoch. The progress bar
    reads from the device, and so waits for it, only twice a second. Raises FloatingPointError if a loss is not finite.
    """
    steps, batch_size = order.shape
    state.start_epoch(affines)
    shown = time.monotonic()
    with progress_bar(steps, verbose) as bar:
        for done, indices in enumerate(order.to(state.batch_indices.device), start=1):
            state.select_batch(first_step + done - 1, indices)
            run_step()  # train_step(state)
            if done == steps or time.monotonic() - shown > 0.5:
                losses, correct = state.read_progress(first_step, done)
                accuracy = correct / (done * batch_size)
                text = f"Loss={losses[-1]} Batch_id={done - 1} Accuracy={100 * accuracy:.2f}"
                bar.set_description_str(text, refresh=False)
                bar.update(done - bar.n)
                shown = time.monotonic()
                for step, loss in enumerate(losses, start=1):
                    if not math.isfinite(loss):
                        raise FloatingPointError(f"step {step}: the loss is {loss}")
    return statistics.fmean(losses), accuracy


def fit(
    model,
    train,
    test,
    epochs=15,
    batch_size=128,
    make_optimizers=muon_and_adam,
    lr=0.15,
    schedule=one_cycle,
    ema_decay=0.998,
    augment=random_affines,
    seed=0,
    extra_metrics=None,
    checkpoint=None,
    verbose=True,
):
    """Train on the `Split` `train`, evaluate on `test` after every epoch, and return the history.

    `model` becomes the exponential moving average (EMA) of the weights of a copy, which is trained, and ends in
    evaluation mode. The history is a list with one dictionary per epoch: `epoch`, `train_loss`, `train_accuracy`,
    `test_loss`, `test_accuracy` and `seconds`. Accuracies are fractions. Those on the test images are of the EMA
    weights; those on the training images of the copy, with augmentation and each batch's own BatchNorm statistics.

    `make_optimizers(model, lr)` returns a list of optimizers. `schedule(steps)` returns a multiplier of their learning
    rates for each step, float32 [steps]. `augment(n, generator=…)` returns an epoch's maps for `warp`, one per image;
    `identity_affines` leaves the images unmodified. `ema_decay` is the decay of the EMA per step, reached after a ramp
    from 0.1; 0 for no EMA (Polyak and Juditsky, 1992; Tarvainen and Valpola, "Mean teachers", 2017, section 2).
    `extra_metrics(state)`, if given, is called with the `TrainState` after every epoch and returns a dictionary to add
    to the history, or None. `verbose=False` prints nothing.

    `fit` reseeds torch with `seed` and switches cuDNN to deterministic kernels (see `set_seed`). The order of the
    images and their augmentation depend on `seed` alone, not on the device. Gradients, autocast and the default dtype
    are set for training, regardless of the caller's, and restored afterwards.

    `checkpoint` is the path of a file that is written after every epoch but the last, and deleted when training ends.
    Calling `fit` again with the same arguments resumes from it, and reproduces the uninterrupted run bit for bit on the
    same machine, regardless of `model`'s weights. Functions are compared by name only.

    After an interrupt (Ctrl-C, Stop) or an error, `model` has the EMA weights of the last complete epoch. The
    checkpoint is of that epoch or, if there was no time to write it, of the one before. The KeyboardInterrupt
    propagates, in notebooks as well, so that nothing mistakes a partial run for a complete one.

    Raises ValueError for invalid arguments and for a checkpoint that cannot be used, before training starts, and for
    invalid results of `augment` and `extra_metrics`; and FloatingPointError if a loss is not finite.
    """
    functions = {"make_optimizers": make_optimizers, "schedule": schedule, "augment": augment}
    numbers = {"epochs": epochs, "batch_size": batch_size, "lr": lr, "ema_decay": ema_decay, "seed": seed}
    optional = {"extra_metrics": extra_metrics} if extra_metrics is not None else {}
    validation.require_fit_arguments(model, train, test, functions | optional, **numbers)
    epochs, batch_size, lr, ema_decay, seed = int(epochs), int(batch_size), float(lr), float(ema_decay), int(seed)
    set_seed(seed)
    say = print if verbose else lambda text: None
    n, device = len(train.labels), train.images.device
    steps = math.ceil(n / batch_size)  # per epoch
    total = epochs * steps
    with training_modes(device):
        compute_logits(model.to(device), train.images[:2])  # raises ValueError unless it returns logits
        lr_multipliers = schedule(total)
        validation.require_finite(f"schedule({total})", lr_multipliers, total)
        expected = "above 0 in at least one step; use more epochs or a smaller batch_size"
        validation.require(lr_multipliers.any(), f"schedule({total})", lr_multipliers.tolist(), expected)
        state = TrainState(model, train, lr_multipliers, batch_size, make_optimizers, lr, ema_decay, seed)
        try:
            saver = None
            if checkpoint is not None:
                settings = numbers | functions | {"train": train, "test": test, "model": model}
                settings |= {"what make_optimizers returns": state.hyperparameters, "torch": torch.__version__}
                saver = Checkpoint(checkpoint, settings)
                if saver.resume(state):
                    say(f"Resuming after epoch {len(state.history)}.")
            run_step = make_run_step(train_step, state)
            for epoch in range(len(state.history) + 1, epochs + 1):
                start = time.perf_counter()
                say(f"EPOCH: {epoch}")
                order = shuffled_batches(n, batch_size, state.generator)
                affines = augment(n, generator=state.generator)
                validation.require_finite(f"augment({n})", affines, n, 2, 3)
                row = {"epoch": epoch}
                row["train_loss"], row["train_accuracy"] = train_epoch(
                    state, run_step, order, affines, (epoch - 1) * steps, verbose
                )
                row["test_loss"], row["test_accuracy"] = evaluate(model, test)
                row["seconds"] = time.perf_counter() - start
                say(test_line(row, len(test.labels)))
                if not math.isfinite(row["test_loss"]):
                    raise FloatingPointError(f"the test loss is {row['test_loss']}")
                if extra_metrics:
                    row |= validation.require_metrics(extra_metrics(state))
                state.complete_epoch(row)
                if saver and epoch < epochs:
                    saver.save(state)
        except KeyboardInterrupt:
            hint = "Run again to resume." if saver else "With a checkpoint, a stopped run can be resumed."
            say(f"\nStopped after {len(state.history)} of {epochs} epochs. {hint}")
            raise
        except FloatingPointError as error:
            raise FloatingPointError(f"epoch {epoch}, {error}; try a lower lr than {lr}") from error
        finally:
            state.finish()
    if saver:
        saver.remove()
    return state.history


def test_line(row, n):
    """Return the log line of an epoch, whose history is `row`, evaluated on `n` images."""
    correct = f"{round(row['test_accuracy'] * n)}/{n} ({100 * row['test_accuracy']:.2f}%)"
    return f"Test set: Average loss: {row['test_loss']:.4f}, Accuracy: {correct}\n"


def evaluate(model, split):
    """Return the mean cross-entropy of `model` over `split` and its accuracy, a fraction."""
    validation.require_split("split", split)
    logits = compute_logits(model, split.images)
    correct = (logits.argmax(dim=1) == split.labels).sum()
    return F.cross_entropy(logits, split.labels).item(), correct.item() / len(split.labels)


@torch.inference_mode()
def compute_logits(model, images, batch_size=2500):
    """Return the logits of uint8 `images` [N, 1, 28, 28], float32 [N, 10], with `model` in evaluation mode.

    Every layer is put back into the mode it was in. Raises ValueError if `model` doesn't return 10 logits per image.
    """
    validation.require_images("images", images, next(model.parameters(), images).device)
    batches = []
    with evaluation_mode(model):
        for batch in images.split(batch_size):
            batches.append(model(normalize(batch)))
            validation.require_logits(batches[-1], len(batch), "what model returns")
    return torch.cat(batches)


def pick_device():
    """Return the device to train on: the one named by MNIST_DEVICE, else an accelerator that works, else the CPU.

    An accelerator that torch finds but cannot compute with, such as a GPU too old for it, is reported and not used.
    """
    if os.environ.get("MNIST_DEVICE"):
        return torch.device(os.environ["MNIST_DEVICE"])
    if not torch.accelerator.is_available():
        return torch.device("cpu")
    device = torch.accelerator.current_accelerator()
    try:
        torch.ones(2, device=device).sum().item()
    except (RuntimeError, AssertionError) as error:  # torch raises either
        print(f"Training on the CPU, since {device} cannot be used: {str(error).splitlines()[0]}")
        return torch.device("cpu")
    return device


def set_seed(seed):
    """Seed torch on every device, and make cuDNN deterministic and fully float32.

    TensorFloat-32, the default of recent GPUs for convolutions, keeps 10 mantissa bits of 23. A network this small
    gains nothing from it, and results would no longer match the CPU's to within rounding.
    """
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False


def progress_bar(steps, verbose):
    """Return a tqdm bar of `steps` on stdout, cut off at the width of a terminal; `train_epoch` refreshes it."""
    is_terminal = getattr(sys.stdout, "isatty", lambda: False)()  # stdout may be None, or any object that can write
    layout = "{desc}: {percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}]"
    options = {"mininterval": 0, "dynamic_ncols": is_terminal, "disable": not verbose or sys.stdout is None}
    return tqdm(total=steps, bar_format=layout, file=sys.stdout, **options)
