"""From archives to curves, in the order data flows: device, data, augmentation, training, evaluation, plots.

Nothing here knows which model it trains: a model is an argument. The data set lives on the device as one uint8
tensor a split, a batch is an index into it, and whatever is done to a batch is done to all its images at once.
"""

import contextlib
import copy
import ctypes
import functools
import glob
import gzip
import hashlib
import http.client
import inspect
import io
import itertools
import math
import os
import pickle
import reprlib
import statistics
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import torch
import torch.nn.functional as F
from matplotlib.ticker import LogLocator, NullFormatter
from torchvision.datasets import MNIST
from torchvision.datasets.utils import download_url
from tqdm import tqdm

# Mean and standard deviation over every pixel of the 60,000 training images, as fractions of white.
MEAN, STD = 0.1307, 0.3081

# The claim: this share of the test set read correctly, within this many epochs.
TARGET_ACCURACY, TARGET_EPOCH = 0.994, 10


# --- Device and seed -------------------------------------------------------------------------------------------------


def pick_device():
    """Return the accelerator that torch finds (CUDA, Apple's MPS, …), else the CPU."""
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


def set_seed(seed):
    """Seed torch on every device and keep cuDNN to kernels that repeat bit for bit."""
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


# --- What a caller may get wrong -------------------------------------------------------------------------------------


def require(good, name, value, wanted):
    """Raise ValueError unless `good`, saying what `name` is and what it must be."""
    if not good:
        if isinstance(value, torch.Tensor):
            found = f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)} on {value.device}"
        elif isinstance(value, str | int | float | list | tuple):
            found = reprlib.repr(value)
        else:
            found = f"of type {type(value).__name__}"
        raise ValueError(f"{name} is {found}; it must be {wanted}")


def is_number(value, low, high=math.inf):
    """Return whether `value` is an int or a float, finite, from `low` to `high`."""
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and math.isfinite(value) and low <= value <= high


def is_whole(value, low, high=math.inf):
    """Return whether `value` is an int from `low` to `high`."""
    return is_number(value, low, high) and isinstance(value, int)


def require_count(name, value, least=1):
    """Raise ValueError unless `value` is an int, `least` or more."""
    require(is_whole(value, least), name, value, f"a whole number, {least} or more")


def require_images(name, images, device=None):
    """Raise ValueError unless `images` are uint8 [N, 1, 28, 28], at least one, and on `device` where one is given."""
    good = isinstance(images, torch.Tensor) and images.dtype == torch.uint8 and images.shape[1:] == (1, 28, 28)
    require(good and len(images) > 0, name, images, "a uint8 tensor [N, 1, 28, 28] with N of at least 1")
    require(device is None or images.device == device, name, images, f"on {device}, like what it is used with")


def require_split(name, split, device=None):
    """Raise ValueError unless `split` is a `Split` as its class says, labels from 0 to 9, and on `device` if given."""
    require(isinstance(split, Split), name, split, "a Split of images and labels")
    require_images(f"{name}.images", split.images, device)
    labels = split.labels
    good = isinstance(labels, torch.Tensor) and labels.dtype == torch.int64 and labels.shape == split.images.shape[:1]
    good = good and labels.device == split.images.device
    require(good, f"{name}.labels", labels, f"an int64 tensor [{len(split.images)}] on {split.images.device}")
    low, high = labels.min().item(), labels.max().item()
    require(0 <= low <= high <= 9, f"the range of {name}.labels", [low, high], "within 0 to 9")


def require_recipe(recipe):
    """Raise ValueError unless the arguments of `fit` in the dictionary `recipe` are functions and numbers in range."""
    for name in ("optimizers", "schedule", "augment"):
        require(callable(recipe[name]), name, recipe[name], "a function")
    require_count("epochs", recipe["epochs"])
    require_count("batch_size", recipe["batch_size"])
    lr, averaging, strength, seed = (recipe[name] for name in ("lr", "averaging", "strength", "seed"))
    require(is_number(lr, 0) and lr > 0, "lr", lr, "a finite number above 0")
    require(is_number(averaging, 0) and averaging < 1, "averaging", averaging, "a number from 0 to below 1")
    pair = isinstance(strength, tuple | list) and len(strength) == 2
    require(pair and all(is_number(s, 0) for s in strength), "strength", strength, "two finite numbers, 0 or more")
    require(is_whole(seed, 0, 2**63 - 1), "seed", seed, "a whole number from 0 to 2⁶³ - 1")


# --- Data ------------------------------------------------------------------------------------------------------------


class Split(NamedTuple):
    """Images uint8 [N, 1, 28, 28] and their labels int64 [N], on one device."""

    images: torch.Tensor
    labels: torch.Tensor


# The MD5 of MNIST's four files, unpacked; torchvision knows those of the archives.
UNPACKED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
ARCHIVES = dict(MNIST.resources)


def load_mnist(root="data", device="cpu"):
    """Return MNIST as two `Split`s on `device`: 60,000 training images and 10,000 test images.

    Reads the four files under `root/MNIST/raw`, unpacked or as archives, whichever is whole by its MD5, and downloads
    an archive only where neither is. Writes nothing else. Raises OSError, with the file's name and what is wrong with
    it, where that fails too.
    """
    raw = Path(root) / "MNIST" / "raw"
    parts = [torch.frombuffer(bytearray(read_file(raw, name)), dtype=torch.uint8) for name in UNPACKED]

    def split(images, labels):  # behind headers of 16 and 8 bytes
        return Split(images[16:].view(-1, 1, 28, 28).to(device), labels[8:].long().to(device))

    return split(*parts[:2]), split(*parts[2:])


def read_file(raw, name):
    """Return the unpacked content of MNIST's file `name`, bytes, from the folder `raw`, or else from the network."""
    content, problems = find_file(raw, name)
    if content is None:
        try:
            download_file(raw, name)
        except OSError as error:
            advice = f"Connect to the network and try again, or put a whole {name}.gz into {raw}."
            raise OSError("\n".join([f"{name} cannot be had.", *problems, str(error), advice])) from error
        content, _ = find_file(raw, name)
    return content


def find_file(raw, name):
    """Return the unpacked content of MNIST's file `name`, None where it is not in `raw`, and what is wrong there."""
    problems = []
    archive = f"{name}.gz"
    for path, md5, unpack in (
        (raw / name, UNPACKED[name], bytes),
        (raw / archive, ARCHIVES[archive], gzip.decompress),
    ):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{path} cannot be read: {error.strerror}.")
            continue
        found = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if found == md5:
            return unpack(content), problems
        problems.append(f"{path} is torn or altered: {len(content):,} bytes with MD5 {found}, not {md5}.")
    return None, problems


def download_file(raw, name):
    """Download the archive of MNIST's file `name` into `raw`: whole or not at all, whoever else does so meanwhile.

    Raises OSError, with what each mirror or the disk answered.
    """
    archive = f"{name}.gz"
    problems = []
    raw.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=raw) as folder:
        for mirror in MNIST.mirrors:
            try:
                download_url(mirror + archive, folder, md5=ARCHIVES[archive])
                (Path(folder) / archive).replace(raw / archive)
                return
            except (OSError, RuntimeError, http.client.HTTPException) as error:
                problems.append(f"{mirror}{archive} cannot be downloaded: {error}")
    raise OSError("\n".join(problems))


# --- Augmentation ----------------------------------------------------------------------------------------------------


def random_affines(n, strength=1.0, degrees=10.0, shift=0.08, scale=0.10, shear=8.0, generator=None):
    """Return `n` random maps from output to input coordinates, float32 [n, 2, 3] on the CPU, for `warp`.

    Each map turns by up to ±`degrees`, moves by up to ±`shift` of the image's width along both axes, resizes by up
    to ±`scale` (a fraction) and slants by up to ±`shear` degrees, all drawn uniformly and separately per image.
    `strength` multiplies all four limits. Raises ValueError where one of them is negative, not finite, or would turn
    the image inside out: a resize by 1 or a slant by 90°.
    """
    require_count("n", n, least=0)
    for name, limit in (("strength", strength), ("degrees", degrees), ("shift", shift)):
        require(is_number(limit, 0), name, limit, "a finite number, 0 or more")
    require(is_number(scale, 0) and scale * strength < 1, "scale", scale, "0 or more, and below 1 times the strength")
    require(is_number(shear, 0) and shear * strength < 90, "shear", shear, "0 or more, and below 90 times the strength")

    def uniform(limit):
        return (2 * torch.rand(n, generator=generator) - 1) * (limit * strength)

    angle, slant = torch.deg2rad(uniform(degrees)), torch.deg2rad(uniform(shear)).tan()
    zoom = 1 + uniform(scale)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    right, down = 2 * uniform(shift), 2 * uniform(shift)  # the image is 2 wide: it runs from -1 to 1
    return torch.stack([cos, cos * slant - sin, right, sin, sin * slant + cos, down], dim=1).view(n, 2, 3)


def warp(images, affines):
    """Return uint8 or float `images` [N, 1, 28, 28] seen through `affines` [N, 2, 3], float32 from 0 to 255.

    Pixels are interpolated bilinearly; what comes in from outside the image is background, 0.
    """
    size = images.shape[-1]
    centres = (2 * torch.arange(size, device=images.device) + 1) / size - 1
    across = affines[:, None, :, 0] * centres[:, None] + affines[:, None, :, 2]  # [N, 28, 2]
    down = affines[:, None, :, 1] * centres[:, None]
    # A broadcast sum of the two instead of F.affine_grid's matrix product: a third of its time on the CPU.
    grid = down[:, :, None] + across[:, None]  # [N, 28, 28, 2]
    return F.grid_sample(images.float(), grid, padding_mode="zeros", align_corners=False)


def normalize(pixels):
    """Return uint8 or float `pixels` from 0 to 255 as float32 with mean 0 and standard deviation 1 over MNIST."""
    return (pixels.float() - 255 * MEAN) / (255 * STD)


def make_batch(split, rows, affines):
    """Return the training batch of the images that `rows` points at, int64 [B], each seen through its own map.

    `affines` has a map for every image of `split`, [N, 2, 3]. The batch is float32 [B, 1, 28, 28] and int64 [B].
    """
    return normalize(warp(split.images[rows], affines[rows])), split.labels[rows]


# --- Speed on the CPU ------------------------------------------------------------------------------------------------

# Neither of these two changes a result by more than rounding. What each is worth: experiments/tricks.csv.


@functools.cache
def keep_freed_memory():
    """Let glibc keep the memory of freed activations instead of returning it to the kernel; elsewhere do nothing.

    Taking it back costs more than two thousand page faults a step. Without this, a training step on two cores takes
    1.16 times as long.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt  # returns 1 where it accepts a value, else 0
        # M_MMAP_THRESHOLD: smaller blocks come from the heap. glibc before 2.35 accepts no more than 32 MiB.
        if any(mallopt(-3, threshold) for threshold in (1 << 30, 1 << 25)):
            # M_TRIM_THRESHOLD: the heap shrinks only when 2 GiB of it are free. By itself, this would only freeze the
            # first threshold where it starts, at 128 KiB.
            mallopt(-1, (1 << 31) - 1)


def spread_narrow_batchnorm(model):
    """Have BatchNorm layers of fewer than 16 channels train on one plane a channel instead of on channels_last.

    With the channels last, each thread keeps its sums in a row of one small array, and rows of fewer than 16 floats
    share a cache line that the cores then take from each other. Without this, a training step on two cores takes
    1.10 times as long.
    """

    def to_planes(layer, inputs):
        if not layer.training:
            return inputs
        planes = inputs[0].contiguous()
        if planes.requires_grad:  # the images themselves, which a model may begin by normalising, do not
            planes.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return (planes,)

    def to_channels_last(layer, _, planes):
        if not layer.training:
            return planes
        if planes.requires_grad:
            planes.register_hook(torch.Tensor.contiguous)
        return planes.contiguous(memory_format=torch.channels_last)

    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d) and layer.num_features < 16:
            layer.register_forward_pre_hook(to_planes)
            layer.register_forward_hook(to_channels_last)


# --- Training --------------------------------------------------------------------------------------------------------


def orthogonalize(matrices):
    """Return float32 `matrices`, each [rows, columns], with all their singular values brought to about 1.

    Five Newton–Schulz steps, on all matrices at once: transposed where they are tall, and padded with zeros, which
    change nothing. Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """
    wide = [m.mT if m.shape[0] > m.shape[1] else m for m in matrices]
    height, width = (max(sizes) for sizes in zip(*(m.shape for m in wide), strict=True))
    batch = torch.stack([F.pad(m, (0, width - m.shape[1], 0, height - m.shape[0])) for m in wide])
    batch = batch / (batch.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = batch @ batch.mT
        change = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315)
        batch = torch.baddbmm(batch, change, batch, beta=3.4445)
    done = [m[: w.shape[0], : w.shape[1]] for m, w in zip(batch, wide, strict=True)]
    return [m.mT if original.shape[0] > original.shape[1] else m for m, original in zip(done, matrices, strict=True)]


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised: a step turns a weight matrix about equally far in all its directions.

    A convolution's weight [out, in, height, width] counts as a matrix [out, in · height · width]. Tall matrices take
    longer steps, by the root of rows over columns. Source: as for `orthogonalize`. `torch.optim.Muon` takes no
    convolutions, rounds to bfloat16 and reads the learning rate back to the host at every step.
    """

    def __init__(self, weights, lr, momentum=0.9):
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            directions = []
            weights = [weight for weight in group["params"] if weight.grad is not None]
            for weight in weights:
                if weight not in self.state:
                    self.state[weight]["velocity"] = torch.zeros_like(weight)
                velocity = self.state[weight]["velocity"]
                velocity.lerp_(weight.grad, 1 - group["momentum"])
                directions.append(weight.grad.lerp(velocity, group["momentum"]).flatten(1))
            for weight, direction in zip(weights, orthogonalize(directions) if weights else [], strict=True):
                rows, columns = direction.shape
                step = direction.reshape(weight.shape) * max(1, rows / columns) ** 0.5
                weight.sub_(group["lr"] * step)


def muon_and_adamw(model, lr):
    """Return the optimizers of `model`: `Muon` at `lr` for what mixes channels, AdamW at `lr` / 15 for all else.

    All else are the depthwise convolutions, which mix none, and BatchNorm's scales and shifts.
    """
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    mixing = [layer.weight for layer in layers if getattr(layer, "groups", 1) == 1]
    rest = [p for p in model.parameters() if all(p is not weight for weight in mixing)]
    optimizers = [Muon(mixing, lr)] if mixing else []
    if rest:
        capturable = rest[0].is_cuda  # counts its steps on the device, as recording asks
        optimizers.append(torch.optim.AdamW(rest, lr / 15, weight_decay=0.05, fused=True, capturable=capturable))
    return optimizers


def one_cycle(steps, warmup=0.1):
    """Return each step's share of the peak learning rate, float32 [steps]: a linear rise to 1, then half a cosine to 0.

    `warmup` is the rise's share of the steps. Source: Smith and Topin, "Super-convergence", 2018, section 3.
    """
    require_count("steps", steps)
    require(is_number(warmup, 0) and 0 < warmup < 1, "warmup", warmup, "a number between 0 and 1")
    progress = (torch.arange(steps) + 1) / steps
    rise = progress / warmup
    fall = (1 + torch.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2
    return torch.where(progress < warmup, rise, fall)


class Trainer:
    """Trains a copy of `model`, while `model` itself becomes the running average of the copy's weights.

    All that a step reads or writes are tensors on one device, and nothing of it is read back to the host, so that a
    GPU can record the step once and replay it.
    """

    def __init__(self, model, split, shares, batch_size, optimizers, lr, averaging):
        keep_freed_memory()
        device = split.images.device
        self.layout = torch.channels_last if device.type == "cpu" else torch.contiguous_format
        self.averaged = model.to(device, memory_format=self.layout).eval()
        self.model = copy.deepcopy(model).train()
        self.averages = list(zip(floats(self.averaged), floats(self.model), strict=True))
        if device.type == "cpu" and torch.get_num_threads() > 1:
            spread_narrow_batchnorm(self.model)
        self.split = split
        self.rows = torch.zeros(batch_size, dtype=torch.int64, device=device)  # this step's images, by index
        self.affines = torch.zeros(len(split.labels), 2, 3, device=device)  # this epoch's, one an image
        self.optimizers = optimizers(self.model, lr)
        good = isinstance(self.optimizers, list | tuple) and len(self.optimizers) > 0
        good = good and all(isinstance(optimizer, torch.optim.Optimizer) for optimizer in self.optimizers)
        require(good, "what optimizers returns", self.optimizers, "a list of torch.optim.Optimizer")
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        peaks = torch.tensor([group["lr"] for group in groups])
        self.rates = (shares[:, None] * peaks).to(device)  # [steps, groups]
        self.lr = torch.zeros(len(groups), device=device)
        for group, rate in zip(groups, self.lr.unbind(), strict=True):
            group["lr"] = rate
        # The average forgets its first steps sooner, so that it is worth a look from the first epoch on.
        count = torch.arange(len(shares), device=device)
        self.blends = 1 - ((count + 1) / (count + 10)).clamp(max=averaging)
        self.blend, self.correct = torch.zeros(2, device=device).unbind()
        self.losses = torch.zeros(len(shares), device=device)  # of every step of the run
        self.number = torch.zeros(1, dtype=torch.int64, device=device)  # this step's, from 0
        self.run_step = self.record_step() if device.type == "cuda" else self.step

    def step(self):
        """Train on the images that `rows` points at, and move the averaged model a little towards the result."""
        images, labels = make_batch(self.split, self.rows, self.affines)
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        self.model.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
        with torch.no_grad():
            # In swa_utils.AveragedModel the same costs a host sync a step.
            for average, current in self.averages:
                average.lerp_(current, self.blend)
            self.losses.index_copy_(0, self.number, loss.view(1))
            self.correct.add_((logits.argmax(dim=1) == labels).sum())

    def record_step(self):
        """Return a function that replays `step` as one CUDA graph: one launch in place of some two hundred.

        Recording wants a few real steps first, on a side stream, so that every library has its workspace. What they
        changed is put back, and what the optimizers remember is set to zero, which is where it starts.
        """
        before = copy.deepcopy([self.model.state_dict(), self.averaged.state_dict()])
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(stream)
        self.model.zero_grad()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.step()
        self.model.load_state_dict(before[0])
        self.averaged.load_state_dict(before[1])
        for state in itertools.chain.from_iterable(optimizer.state.values() for optimizer in self.optimizers):
            for tensor in state.values():
                tensor.zero_()
        return graph.replay

    def epoch(self, first_step, order, affines):
        """Run an epoch over `order`, int64 [steps, batch_size]: after each step, yield how many are done.

        `order` and `affines` go to the device once, here. `first_step` counts from the start of training.
        """
        self.correct.zero_()
        self.affines.copy_(affines)
        for number, rows in enumerate(order.to(self.rows.device), start=first_step):
            self.rows.copy_(rows)
            self.number.fill_(number)
            self.lr.copy_(self.rates[number])
            self.blend.copy_(self.blends[number])
            self.run_step()
            yield number - first_step + 1

    def state(self):
        """Return copies of all that training changes: both models, and what the optimizers remember a parameter."""
        memory = [[optimizer.state.get(p, {}) for p in parameters_of(optimizer)] for optimizer in self.optimizers]
        return copy.deepcopy(
            {"model": self.model.state_dict(), "averaged": self.averaged.state_dict(), "optimizers": memory}
        )

    def load(self, state):
        """Take over a `state`, in place: a recorded step goes on working on the same tensors."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        for optimizer, memory in zip(self.optimizers, state["optimizers"], strict=True):
            for parameter, saved in zip(parameters_of(optimizer), memory, strict=True):
                for name, tensor in saved.items():
                    own = optimizer.state[parameter].setdefault(name, torch.empty_like(tensor, device=parameter.device))
                    own.copy_(tensor)


def parameters_of(optimizer):
    """Return the parameters of `optimizer` as a list, always in the same order."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def floats(model):
    """Return the parameters and BatchNorm statistics of `model`: all its tensors but the integer counters."""
    return [t for t in itertools.chain(model.parameters(), model.buffers()) if t.is_floating_point()]


def shuffled_batches(n, batch_size, generator=None):
    """Return the indices 0 … n-1 in random order, int64 [steps, batch_size].

    The last batch is filled up from the start of that order, so that every batch is full.
    """
    require_count("n", n)
    require_count("batch_size", batch_size)
    order = torch.randperm(n, generator=generator)
    steps = math.ceil(n / batch_size)
    return order[torch.arange(steps * batch_size) % n].view(steps, batch_size)


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


@torch.inference_mode()
def compute_logits(model, images, batch_size=2500):
    """Return the logits of uint8 `images` [N, 1, 28, 28], float32 [N, 10], with `model` in evaluation mode."""
    require_images("images", images, next(model.parameters(), images).device)
    keep_freed_memory()
    was_training = model.training
    model.eval()
    logits = torch.cat([model(normalize(batch)) for batch in images.split(batch_size)])
    model.train(was_training)
    return logits


def evaluate(model, split):
    """Return the mean cross-entropy of `model` over `split` and its accuracy, a fraction."""
    require_split("split", split)
    logits = compute_logits(model, split.images)
    accuracy = (logits.argmax(dim=1) == split.labels).float().mean()
    return F.cross_entropy(logits, split.labels).item(), accuracy.item()


# --- Checkpoints -----------------------------------------------------------------------------------------------------


def describe(value):
    """Return `value` as plain data that is the same in every process: functions and objects by what they are made of.

    A function is its name, a checksum of its source, and what is bound to it; any other object is its class and its
    state. Nothing is told by its address, which is another one in every process.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple | set | frozenset):
        items = [describe(item) for item in value]
        return sorted(items, key=repr) if isinstance(value, set | frozenset) else items
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, torch.Tensor):
        return f"tensor {list(value.shape)} (content {checksum(value.detach())})"
    if isinstance(value, functools.partial):
        bound = [*map(describe, value.args), *(f"{key}={describe(item)!r}" for key, item in value.keywords.items())]
        return f"{describe(value.func)} with {', '.join(map(str, bound))}"
    if inspect.ismethod(value):
        return f"{describe(value.__func__)} of {describe(value.__self__)}"
    if inspect.isroutine(value) or isinstance(value, type):
        held = [describe(cell.cell_contents) for cell in getattr(value, "__closure__", None) or ()]
        held += [describe(default) for default in getattr(value, "__defaults__", None) or ()]
        name = f"{value.__qualname__} (source {checksum(source_of(value))})"
        return f"{name} with {held}" if held else name
    if hasattr(value, "__dict__"):
        return f"{describe(type(value))} with {describe(vars(value))}"
    try:  # an array, say
        return f"{describe(type(value))} with {checksum(pickle.dumps(value))}"
    except (pickle.PicklingError, TypeError, AttributeError):
        require(False, "what the recipe holds", value, "something with attributes, for a checkpoint to tell it by")


def source_of(value):
    """Return the source of a function or class, bytes; none where it was typed at a prompt, or is an object."""
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(value).encode()
    return b""


def checksum(*contents):
    """Return the CRC-32 of `contents`, bytes or tensors, as hexadecimal text."""
    crc = 0
    for content in contents:
        crc = zlib.crc32(content.cpu().contiguous().numpy() if isinstance(content, torch.Tensor) else content, crc)
    return f"{crc:08x}"


def identify(model, train, test, recipe):
    """Return what must be the same for a run to end as it would have without interruption, as plain data."""
    own = {type(module) for module in model.modules() if not type(module).__module__.startswith("torch.")}
    sources = [source_of(kind) for kind in sorted(own, key=lambda kind: kind.__qualname__)]
    return {name: describe(value) for name, value in recipe.items()} | {
        "architecture": f"{type(model).__name__} (structure {checksum(str(model).encode(), *sources)})",
        "images": f"{len(train.images)} and {len(test.images)} (content {checksum(*train, *test)})",
        "device": train.images.device.type,
        "threads": torch.get_num_threads(),
        "torch": str(torch.__version__),
        "utils.py": checksum(Path(__file__).read_bytes()),
    }


def pack(content):
    """Return `content`, tensors and plain data, as bytes: their SHA-256, then what torch makes of them."""
    file = io.BytesIO()
    torch.save(content, file)
    return hashlib.sha256(file.getvalue()).digest() + file.getvalue()


def unpack(packed):
    """Return what was packed. Raises ValueError where a bit of it is another: torch itself would not notice."""
    digest, content = packed[:32], packed[32:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError("the checksum is wrong")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


class Checkpoint:
    """The file at `path` in which `fit` keeps a run, known by its `identity`, from one epoch to the next."""

    PARTS = ("trainer", "generator", "random", "cuda", "history", "log")

    def __init__(self, path, identity):
        self.path, self.identity = Path(path).expanduser(), identity
        # With the process's number, so that two runs that share a checkpoint never write into one file.
        self.new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")

    def resume(self, trainer, generator):
        """Take `trainer`, `generator` and torch's random states to where the file has them; return history and log.

        Both are empty where there is no file. Raises ValueError where it cannot be read, is no checkpoint, or that of
        another run, and says what differs. Nothing in it can run code: it is loaded with `weights_only=True`.
        """
        way_out = "delete it to start anew, or name another file"
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise ValueError(f"checkpoint {self.path} cannot be read: {error.strerror}; name another file") from error
        try:
            saved = unpack(content)
            there = dict(saved["identity"])
            state, order, random, cuda, history, log = (saved[name] for name in self.PARTS)
        except (RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
            raise ValueError(f"checkpoint {self.path} is torn, or none of ours: {way_out}") from error
        differing = [
            f"{name} is {there.get(name)} in it and {here} now"
            for name, here in self.identity.items()
            if there.get(name) != here
        ]
        if differing:
            raise ValueError(f"checkpoint {self.path} is that of another run: {'; '.join(differing)}: {way_out}")
        trainer.load(state)
        generator.set_state(order)
        torch.set_rng_state(random)
        torch.cuda.set_rng_state_all(cuda)
        return history, log

    def save(self, trainer, generator, history, log):
        """Write everything, whole or not at all. Where that is impossible, say so, and let training go on."""
        random, cuda = torch.get_rng_state(), torch.cuda.get_rng_state_all()  # the latter empty without one
        parts = trainer.state(), generator.get_state(), random, cuda, history, log
        content = {"identity": self.identity} | dict(zip(self.PARTS, parts, strict=True))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.new.open("wb") as file:
                file.write(pack(content))
                file.flush()
                os.fsync(file.fileno())
            self.new.replace(self.path)
        except OSError as error:
            print(f"Checkpoint {self.path} cannot be written: {error}. Training goes on; do not interrupt it.")
        finally:
            with contextlib.suppress(OSError):
                self.new.unlink(missing_ok=True)  # there only where it did not become the checkpoint

    def remove(self):
        """Delete the checkpoint, and what a run that was killed while it wrote one has left."""
        for path in (self.path, *self.path.parent.glob(f"{glob.escape(self.path.name)}.*.new")):
            path.unlink(missing_ok=True)


# --- The whole run ---------------------------------------------------------------------------------------------------


def run_epoch(trainer, test, epoch, draw_affines, generator):
    """Train one epoch and look at `test`; return the row of the history, a dictionary, and what was printed, text."""
    start = time.perf_counter()
    title = f"EPOCH: {epoch}"
    print(title)
    order = shuffled_batches(len(trainer.split.labels), len(trainer.rows), generator)
    affines = draw_affines(generator=generator)
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


def fit(
    model,
    train,
    test,
    epochs=15,
    batch_size=128,
    optimizers=muon_and_adamw,
    lr=0.15,
    schedule=one_cycle,
    averaging=0.998,
    augment=random_affines,
    strength=(1.5, 0.25),
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
    `augment(n, strength, generator=…)` an epoch's maps for `warp`, where `strength` goes evenly from its first value to
    its last over the epochs. `extra(trainer)`, if given, returns a dictionary of what else each row is to hold.

    With a path as `checkpoint`, the run is kept there after every epoch but the last. Called again after whatever ended
    it, `fit` prints what was printed, goes on after the last epoch kept, and ends in the same weights and history, bit
    for bit on the same machine, whatever weights `model` comes with; `extra` is to be the same, which is not checked. A
    complete run removes its checkpoint. Interrupted (Ctrl-C, Stop), `fit` returns the history so far, with `model` as
    it was then.

    Raises ValueError for arguments that do not fit and for the checkpoint of another run, before any training, and
    FloatingPointError where the loss is not finite, with `model` and checkpoint as they were after the epoch before.
    """
    recipe = {"epochs": epochs, "batch_size": batch_size, "optimizers": optimizers, "lr": lr, "schedule": schedule}
    recipe |= {"averaging": averaging, "augment": augment, "strength": strength, "seed": seed}
    require_recipe(recipe)
    require_split("train", train)
    device = train.images.device
    require_split("test", test, device)
    require(isinstance(model, torch.nn.Module), "model", model, "a torch.nn.Module")
    require(extra is None or callable(extra), "extra", extra, "a function, or None")
    is_path = isinstance(checkpoint, str | os.PathLike) and os.fspath(checkpoint) != ""
    require(checkpoint is None or is_path, "checkpoint", checkpoint, "a path, or None")
    logits = compute_logits(model.to(device), train.images[:2])
    require(logits.shape == (len(train.labels[:2]), 10), "what model returns", logits, "logits [N, 10]")

    set_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    steps = math.ceil(len(train.labels) / batch_size)
    shares = schedule(epochs * steps)
    good = isinstance(shares, torch.Tensor) and shares.shape == (epochs * steps,) and shares.isfinite().all()
    require(good, f"schedule({epochs * steps})", shares, f"a tensor [{epochs * steps}] of finite numbers")
    trainer = Trainer(model, train, shares, batch_size, optimizers, lr, averaging)
    history, log, kept = [], [], None
    if checkpoint is not None:
        kept = Checkpoint(checkpoint, identify(model, train, test, recipe))
        history, log = kept.resume(trainer, generator)
        print("".join(log), end="")
    ended = copy.deepcopy(model.state_dict())  # the averaged weights after the last whole epoch
    try:
        for epoch in range(len(history) + 1, epochs + 1):
            now = strength[0] + (strength[1] - strength[0]) * (epoch - 1) / max(1, epochs - 1)
            draw_affines = functools.partial(augment, len(train.labels), now)
            row, lines = run_epoch(trainer, test, epoch, draw_affines, generator)
            row |= extra(trainer) if extra else {}
            # In one assignment, so that Ctrl-C finds all of it done or nothing.
            history, log, ended = [*history, row], [*log, lines], copy.deepcopy(model.state_dict())
            if kept and epoch < epochs:
                kept.save(trainer, generator, history, log)
    except KeyboardInterrupt:
        model.load_state_dict(ended)
        print(f"\nStopped. The history has {len(history)} of {epochs} epochs.")
        return history
    except FloatingPointError as error:
        model.load_state_dict(ended)
        raise FloatingPointError(f"epoch {epoch}, {error}; try a lower lr than {lr}") from error
    if kept:
        kept.remove()
    return history


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
    figure, axes = canvas(10, columns, height=7.5)
    for digit, row in enumerate(axes):
        for cell, image in zip(row, split.images[split.labels == digit], strict=False):
            show_image(cell, image)
        row[0].set_ylabel(digit, rotation=0, labelpad=12, va="center")
    figure.supylabel("label")
    figure.supxlabel(f"the first {columns} images of each class")
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


def plot_augmentation(image, strengths, generator=None):
    """Return a figure with a row a strength: `image` [1, 28, 28] as it is, then through eight `random_affines`."""
    figure, axes = canvas(len(strengths), 9, height=1.2 * len(strengths), squeeze=False)
    for strength, row in zip(strengths, axes, strict=True):
        affines = random_affines(8, strength, generator=generator).to(image.device)
        show_image(row[0], image, "as it is")
        for cell, seen in zip(row[1:], warp(image.expand(8, 1, 28, 28), affines), strict=True):
            show_image(cell, seen)
        row[0].set_ylabel(f"strength\n{strength}", fontsize=9)
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
    """Return loss and accuracy of every epoch in `history`, with the claim's accuracy and epoch marked."""
    require(len(history) > 0, "history", history, "what fit returned after an epoch or more")
    epochs = [row["epoch"] for row in history]
    figure, (left, right) = canvas(1, 2)
    for axes, quantity, factor in ((left, "loss", 1), (right, "accuracy", 100)):
        for part, colour, marker in (("train", BLUE, "o"), ("test", ORANGE, "s")):
            values = [factor * row[f"{part}_{quantity}"] for row in history]
            name = "training, augmented" if part == "train" else "test"
            axes.plot(epochs, values, color=colour, marker=marker, markersize=4, label=name)
        axes.axvline(TARGET_EPOCH, color=GREY, linestyle=":", label=f"epoch {TARGET_EPOCH}")
        axes.set(xlabel="epoch", xticks=epochs)
    left.set(ylabel="cross-entropy (nats)", yscale="log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter("{x:g}")
    left.yaxis.set_minor_formatter(NullFormatter())
    right.axhline(100 * TARGET_ACCURACY, color="black", linewidth=1, linestyle="--", label=f"{TARGET_ACCURACY:.1%}")
    right.set(ylabel="accuracy (%)", ylim=(min(97.0, 100 * min(row["test_accuracy"] for row in history) - 0.2), 100))
    left.legend()
    right.legend(loc="lower right")
    return figure


def plot_confusion(logits, labels):
    """Return the confusion matrix of `logits` [N, 10] against `labels` [N], in images; colour counts mistakes only."""
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
    probabilities, predicted = logits.softmax(dim=1).max(dim=1)
    wrong = torch.where(predicted != split.labels)[0]
    # To four digits, and then in the order of the images: what is equally sure may differ in the last place.
    wrong = wrong[(1e4 * probabilities[wrong]).round().argsort(descending=True, stable=True)][:most]
    rows = max(1, math.ceil(len(wrong) / 8))
    figure, axes = canvas(rows, 8, height=1.5 * rows)
    for cell in axes.flat:
        cell.axis("off")
    for cell, i in zip(axes.flat, wrong.tolist(), strict=False):
        title = f"{split.labels[i]}, read as {predicted[i]}\n{100 * probabilities[i]:.0f} % sure"
        show_image(cell, split.images[i], title)
        cell.axis("on")
    return figure
