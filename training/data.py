"""MNIST on one device: its archives found, checked or downloaded, and the order of an epoch.

The data set lives on the device as one uint8 tensor a split, and a batch is an index into it.
"""

import contextlib
import gzip
import hashlib
import http.client
import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from torchvision.datasets import MNIST
from torchvision.datasets.utils import download_url

from training.checks import require, require_count


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

    Reads the four files under `root/MNIST/raw`, unpacked or as archives, whichever is whole by its MD5; where `root`
    is itself one of these inner folders, it reads them there. Downloads an archive only where there is neither, writes
    nothing else, and never replaces a file that is there: another data set, such as Fashion-MNIST, has the same names.
    Raises OSError, with the file's name, what is wrong with it and what to do, where an archive cannot be had.
    """
    raw = find_folder(Path(root))
    parts = [torch.frombuffer(bytearray(read_file(raw, name)), dtype=torch.uint8) for name in UNPACKED]

    def split(images, labels):  # behind headers of 16 and 8 bytes
        return Split(images[16:].view(-1, 1, 28, 28).to(device), labels[8:].long().to(device))

    return split(*parts[:2]), split(*parts[2:])


def find_folder(root):
    """Return the folder of MNIST's files: the first of the three below `root` that holds one of them, or the first."""
    folders = [root / "MNIST" / "raw", root / "raw", root]
    there = (folder for folder in folders if any((folder / name).exists() for name in (*UNPACKED, *ARCHIVES)))
    return next(there, folders[0])


def read_file(raw, name):
    """Return the unpacked content of MNIST's file `name`, bytes, from the folder `raw`, or else from the network."""
    content, problems = find_file(raw, name)
    if content is None:
        try:
            download_file(raw, name)
        except OSError as error:
            raise OSError("\n".join([f"{name} cannot be had.", *problems, str(error)])) from error
        content, _ = find_file(raw, name)
    return content


def find_file(raw, name):
    """Return the unpacked content of MNIST's file `name`, None where it is not in `raw`, and what is wrong there."""
    problems, archive = [], f"{name}.gz"
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
        problems.append(f"{path} is torn or not MNIST's: {len(content):,} bytes with MD5 {found}, not {md5}.")
    return None, problems


def download_file(raw, name):
    """Download the archive of MNIST's file `name` into `raw`: whole or not at all, whoever else does so meanwhile.

    Raises OSError, with what each mirror or the disk answered, or where an archive of that name is there.
    """
    archive, problems = f"{name}.gz", []
    if (raw / archive).exists():
        raise OSError(f"{archive} is not replaced: move it away and try again, to download it, or name another folder.")
    missing = [folder for folder in (raw, *raw.parents) if not folder.exists()]
    try:
        raw.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=raw) as folder:
            for mirror in MNIST.mirrors:
                try:
                    download_url(mirror + archive, folder, md5=ARCHIVES[archive])
                    (Path(folder) / archive).replace(raw / archive)
                    return
                except (OSError, RuntimeError, http.client.HTTPException) as error:
                    problems.append(f"{mirror}{archive} cannot be downloaded: {error}")
    finally:
        with contextlib.suppress(OSError):  # at the first that holds something
            for folder in missing:
                folder.rmdir()
    raise OSError("\n".join([*problems, f"Connect to the network and try again, or put a whole {archive} into {raw}."]))


def shuffled_batches(n, batch_size, generator=None):
    """Return the indices 0 … n-1 in random order, int64 [steps, batch_size].

    The last batch is filled up from the start of that order, so that every batch is full.
    """
    require_count("n", n)
    require_count("batch_size", batch_size)
    order = torch.randperm(n, generator=generator)
    steps = math.ceil(n / batch_size)
    return order[torch.arange(steps * batch_size) % n].view(steps, batch_size)


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
