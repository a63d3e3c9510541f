"""Save a training run after every epoch and resume it."""

import contextlib
import functools
import io
from pathlib import Path

import torch


class Checkpoint:
    """The file at `path` from which `fit` resumes a run, which is identified by the dictionary `settings`."""

    def __init__(self, path, settings):
        self.path = Path(path).expanduser()
        self.settings = {name: as_text(value) for name, value in settings.items()}

    def resume(self, state):
        """Restore `state`, a `TrainState`, from the file and return True, or return False if there is no file.

        Raises ValueError, saying what to do, if the file cannot be read, is not a checkpoint, or belongs to a run with
        other settings. Loading cannot run code from the file: it uses `weights_only=True`.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                return False
            content = io.BytesIO(self.path.read_bytes())
        except OSError as error:
            raise ValueError(f"checkpoint {self.path} cannot be used: {error.strerror}; use another file") from error
        try:
            saved = torch.load(content, map_location="cpu", weights_only=True)
            settings, run = dict(saved["settings"]), saved["run"]
        except Exception as error:  # torch raises many types here
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
        state.load(run)
        return True

    def save(self, state):
        """Replace the file by the state of the run. If that fails, print a warning and let training continue."""
        content, unfinished = io.BytesIO(), self.path.with_name(f"{self.path.name}.unfinished")
        torch.save({"settings": self.settings, "run": state.save()}, content)
        try:
            unfinished.write_bytes(content.getvalue())
            unfinished.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                unfinished.unlink()
            print(f"Checkpoint {self.path} cannot be written: {error}. Training continues; don't interrupt it.")

    def remove(self):
        """Delete the file. If that fails, the next run resumes from it and repeats the last epoch."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


def as_text(value):
    """Return a setting of `fit` as text: a function by its name, a data split by its size and contents."""
    if isinstance(value, functools.partial):
        return f"{as_text(value.func)} with {value.args} {value.keywords}"
    if hasattr(value, "images") and hasattr(value, "labels"):
        return f"{len(value.labels)} images with sums {int(value.images.sum())} and {int(value.labels.sum())}"
    if callable(value) and not isinstance(value, torch.nn.Module):
        return getattr(value, "__qualname__", type(value).__qualname__)
    return str(value)
