"""Save a training run after every epoch and resume it."""

import contextlib
import functools
import glob
import hashlib
import io
import os
import pickle
from pathlib import Path

import torch


class Checkpoint:
    """The file at `path` from which `fit` resumes a run. `settings` (name → text) identify the run."""

    def __init__(self, path, settings):
        self.path, self.settings = Path(path).expanduser(), settings
        # With the process number, so that two runs that share a checkpoint never write to the same temporary file.
        self.temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")

    def resume(self, state):
        """Restore `state`, a `TrainState`, from the file and return True, or return False if there is no file.

        Raises ValueError, saying what to do, if the file cannot be read or written, is damaged, is no checkpoint, or
        belongs to a run with other settings. Loading cannot run code from the file: it uses `weights_only=True`.
        """
        self.require_writable()
        if not self.path.exists():
            return False
        try:
            saved = unpack(self.path.read_bytes())
            settings, own = dict(saved["settings"]), saved["state"]
        except OSError as error:
            raise ValueError(f"checkpoint {self.path} cannot be read: {error.strerror}; use another file") from error
        except (RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
            way_out = "use another file, or delete it if it was a checkpoint"
            raise ValueError(f"checkpoint {self.path} is damaged or not a checkpoint; {way_out}") from error
        different = [
            f"{name} was {settings.get(name)} and is now {value}" if len(value) < 99 else f"{name} has changed"
            for name, value in self.settings.items()
            if settings.get(name) != value
        ]
        if different:
            way_out = "Change that back to resume it, delete it to start again, or use another file."
            raise ValueError(f"checkpoint {self.path} belongs to another run: {'; '.join(different)}. {way_out}")
        state.load(own)
        return True

    def require_writable(self):
        """Raise ValueError unless the checkpoint's folder, which is created if needed, can be written to."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.temporary.touch()
            self.temporary.unlink()
        except OSError as error:
            way_out = "use a file in a folder that can, or train without a checkpoint"
            raise ValueError(f"checkpoint {self.path} cannot be written: {error.strerror}; {way_out}") from error

    def save(self, state):
        """Write the checkpoint atomically. If that fails, print a warning and let training continue."""
        try:
            with self.temporary.open("wb") as file:
                file.write(pack({"settings": self.settings, "state": state.save()}))
                file.flush()
                os.fsync(file.fileno())
            self.temporary.replace(self.path)
        except OSError as error:
            print(f"Checkpoint {self.path} cannot be written: {error}. Training continues; don't interrupt it.")
        finally:
            with contextlib.suppress(OSError):
                self.temporary.unlink(missing_ok=True)

    def remove(self):
        """Delete the checkpoint, and temporary files that killed runs have left behind."""
        for path in (self.path, *self.path.parent.glob(f"{glob.escape(self.path.name)}.*.new")):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                print(f"The run is complete, but {path} cannot be deleted: {error.strerror}. Delete it by hand.")


def describe(**settings):
    """Return `settings` as text, for comparison: a function by its name, a data split by its size and contents."""

    def text(value):
        if isinstance(value, functools.partial):
            return f"{text(value.func)} with {value.args} {value.keywords}"
        if hasattr(value, "images") and hasattr(value, "labels"):
            return f"{len(value.labels)} images with sums {int(value.images.sum())} and {int(value.labels.sum())}"
        if callable(value) and not isinstance(value, torch.nn.Module):
            return getattr(value, "__qualname__", type(value).__qualname__)
        return str(value)

    return {name: text(value) for name, value in settings.items()}


def pack(content):
    """Return `content`, tensors and plain data, as bytes: a SHA-256 checksum, then what `torch.save` writes."""
    file = io.BytesIO()
    torch.save(content, file)
    return hashlib.sha256(file.getvalue()).digest() + file.getvalue()


def unpack(packed):
    """Return what was packed. Raises ValueError if the checksum is wrong: torch would not notice a flipped bit."""
    checksum, content = packed[:32], packed[32:]
    if hashlib.sha256(content).digest() != checksum:
        raise ValueError("the checksum is wrong")
    return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
