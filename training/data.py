"""MNIST as one uint8 tensor per split, on the device; a batch is an index into it."""

import gzip
import hashlib
import math
import zlib
from pathlib import Path
from typing import NamedTuple

import torch

from training.augmentation import warp
from training.validation import require_int

# Mean and standard deviation over every pixel of the 60,000 training images, as fractions of white.
MEAN, STD = 0.1307, 0.3081


class Split(NamedTuple):
    """Images uint8 [N, 1, 28, 28] and their labels int64 [N], on one device."""

    images: torch.Tensor
    labels: torch.Tensor


# MNIST's four files and the MD5 of their unpacked content.
FILES = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def load_mnist(root="data", device="cpu"):
    """Return MNIST as two `Split`s on `device`: 60,000 training images and 10,000 test images.

    Reads the four files in `root/MNIST/raw`, packed (.gz) or unpacked, and checks their MD5. Missing files are
    downloaded with torchvision, which keeps them in the same place. A file with wrong content is never replaced, since
    other data sets, such as Fashion-MNIST, use the same names. Raises OSError, saying what to do, if a file cannot be
    used or downloaded.
    """
    root = Path(root).expanduser()
    raw = root / "MNIST" / "raw"
    contents = [read_file(raw, name) for name in FILES]
    if None in contents:
        download_missing(root, raw)
        contents = [read_file(raw, name) for name in FILES]

    def make_split(images, labels):  # after headers of 16 and 8 bytes
        images, labels = (torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in (images, labels))
        return Split(images[16:].view(-1, 1, 28, 28).to(device), labels[8:].long().to(device))

    return make_split(*contents[:2]), make_split(*contents[2:])


def read_file(raw, name):
    """Return the unpacked content of the file `name` of MNIST in the folder `raw`, or None if it is missing."""
    path = next((path for path in (raw / f"{name}.gz", raw / name) if path.exists()), None)
    if path is None:
        return None
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != FILES[name]:
            raise ValueError("its MD5 is not that of MNIST")
    except (OSError, EOFError, ValueError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise OSError(f"{path} cannot be used: {reason}. Move {raw} away and try again to download MNIST.") from error
    return content


def download_missing(root, raw):
    """Download into `raw` what is missing there. Raises OSError if that fails, for example without a network."""
    from torchvision.datasets import MNIST  # only here: nothing else needs torchvision

    try:
        MNIST(root, download=True)
    except (OSError, RuntimeError) as error:
        way_out = f"Connect to the network and try again, or put {', '.join(FILES)} into {raw}"
        raise OSError(f"MNIST is not complete and cannot be downloaded: {error}. {way_out}.") from error


def hold_out(split, every=6, seed=0):
    """Return `split` without a random sixth (one in `every`) of each class, and that sixth, as two `Split`s."""
    require_int("every", every, low=2)
    order = torch.randperm(len(split.labels), generator=torch.Generator().manual_seed(seed), device="cpu")
    by_class = order[split.labels.cpu()[order].argsort(stable=True)]
    held_out = torch.zeros(len(order), dtype=torch.bool, device="cpu")
    held_out[by_class[::every]] = True
    return Split(*(part[~held_out] for part in split)), Split(*(part[held_out] for part in split))


def shuffled_batches(n, batch_size, generator=None):
    """Return the indices 0 … n-1 in random order, int64 [steps, batch_size].

    The last batch is filled up from the start of that order, so that every batch is full.
    """
    order = torch.randperm(n, generator=generator, device="cpu")
    steps = math.ceil(n / batch_size)
    return order[torch.arange(steps * batch_size, device="cpu") % n].view(steps, batch_size)


def normalize(pixels):
    """Return `pixels`, from 0 to 255, as float32 with mean 0 and standard deviation 1 over MNIST's training images."""
    return (pixels.float() - 255 * MEAN) / (255 * STD)


def make_batch(split, indices, affines):
    """Return the training batch for `indices`, int64 [B]: images float32 [B, 1, 28, 28] and labels int64 [B].

    `affines` [N, 2, 3] has one map for every image of `split`.
    """
    return normalize(warp(split.images[indices], affines[indices])), split.labels[indices]
