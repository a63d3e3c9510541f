"""A run kept on the disk: one file, written whole after every epoch but the last, and deleted after that."""

import contextlib
import glob
import hashlib
import io
import os
import pickle
from pathlib import Path

import torch

from training.identity import compare


class Checkpoint:
    """The file at `path` in which `fit` keeps a run, known by its `identity`, from one epoch to the next."""

    PARTS = ("trainer", "generator", "random", "history", "log")

    def __init__(self, path, identity):
        self.path, self.identity = Path(path).expanduser(), identity
        # With the process's number, so that two runs that share a checkpoint never write into one file.
        self.new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")

    def resume(self, trainer, generator):
        """Take `trainer`, `generator` and torch's random states to where the file has them; return history and log.

        Both are empty where there is no file. Raises ValueError where it cannot be read, is no checkpoint, or that of
        another run, and says what differs and what to do; and where its folder cannot be written, before the run spends
        hours that it could not keep. Nothing in the file can run code: it is loaded with `weights_only=True`.
        """
        way_out = "delete it to begin anew, or name another file"
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = None
        except OSError as error:
            raise ValueError(f"checkpoint {self.path} cannot be read: {error.strerror}; name another file") from error
        self.require_writable()
        if content is None:
            return [], []
        try:
            saved = unpack(content)
            there = dict(saved["identity"])
            state, order, random, history, log = (saved[name] for name in self.PARTS)
        except (RuntimeError, EOFError, LookupError, TypeError, ValueError, pickle.UnpicklingError) as error:
            found = "is torn, or no checkpoint: name another file, or delete it where it was one"
            raise ValueError(f"checkpoint {self.path} {found}") from error
        differing, ways_back = compare(there, self.identity)
        if differing:
            back = f"To go on with it, {'; '.join(ways_back)}. Else {way_out}."
            raise ValueError(f"checkpoint {self.path} is that of another run: {'; '.join(differing)}. {back}")
        trainer.load(state)
        generator.set_state(order)
        trainer.set_random_state(random)
        return history, log

    def require_writable(self):
        """Raise ValueError unless a file can be written beside the checkpoint, and taken away; make its folder."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.new.touch()
            self.new.unlink()
        except OSError as error:
            way_out = "name a file in a folder that can be, or train without a checkpoint"
            raise ValueError(f"checkpoint {self.path} cannot be written: {error.strerror}; {way_out}") from error

    def save(self, trainer, generator, history, log):
        """Write everything, whole or not at all. Where that is impossible, say so, and let training go on."""
        parts = trainer.state(), generator.get_state(), trainer.random_state(), history, log
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
        """Delete the checkpoint, and what a run that was killed while it wrote one has left, or say that it stays."""
        for path in (self.path, *self.path.parent.glob(f"{glob.escape(self.path.name)}.*.new")):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                print(f"The run is complete, but {path} cannot be deleted: {error.strerror}. Delete it by hand.")


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
