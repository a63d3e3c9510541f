"""What identifies a run: all that must be the same for it to end as it would have without interruption."""

import contextlib
import functools
import inspect
import pickle
import zlib
from pathlib import Path

import torch

from training.checks import require


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
        "training": checksum(*(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))),
    }


# What is to be done where a run is to go on and this differs; `{}` is what it was. All else is an argument of `fit`.
WAYS_BACK = {
    "architecture": "give fit the model that it was",
    "images": "give fit the images that it had",
    "device": "train on {} again",
    "threads": "set the number of threads back: OMP_NUM_THREADS={0} before Python starts or torch.set_num_threads({0})",
    "torch": "install torch {} again",
    "training": "take back what was changed in the folder training/",
    "loop": "take back what was changed in fit or what it calls in utils.py",
}


def compare(there, here):
    """Return in what the run of a checkpoint, identified by `there`, differs from this one, `here`, and the ways back.

    Both are lists of texts, one a difference.
    """
    differing = [name for name in here if there.get(name) != here[name]]
    told = [f"{name} is {there.get(name)} in it and {here[name]} now" for name in differing]
    return told, [WAYS_BACK.get(name, f"set {name} back").format(there.get(name)) for name in differing]


def describe(value):
    """Return `value` as plain data that is the same in every process: functions and objects by what they are made of.

    A function is its name, a checksum of its source, what is bound to it, and the numbers, texts and tensors outside
    that it names, but not what it calls; any other object is its class and its state. Nothing is told by its address,
    which is another one in every process.
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
        held += [describe(named) for named in (getattr(value, "__kwdefaults__", None), globals_of(value)) if named]
        name = f"{value.__qualname__} (source {checksum(source_of(value))})"
        return f"{name} with {held}" if held else name
    if hasattr(value, "__dict__"):
        return f"{describe(type(value))} with {describe(vars(value))}"
    try:  # an array, say
        return f"{describe(type(value))} with {checksum(pickle.dumps(value))}"
    except (pickle.PicklingError, TypeError, AttributeError):
        require(False, "what the recipe holds", value, "something with attributes, for a checkpoint to tell it by")


def globals_of(value):
    """Return the numbers, texts and tensors of its module that a function names, a dictionary."""
    if not inspect.isfunction(value):
        return {}
    outside = sorted(inspect.getclosurevars(value).globals.items())
    return {name: held for name, held in outside if isinstance(held, bool | int | float | str | torch.Tensor)}


def source_of(value):
    """Return the source of a function or class, or its compiled code where it was typed at a prompt, as bytes."""
    with contextlib.suppress(OSError, TypeError):
        return inspect.getsource(value).encode()
    functions = vars(value).values() if isinstance(value, type) else [value]
    return repr([compiled(function.__code__) for function in functions if inspect.isfunction(function)]).encode()


def compiled(code):
    """Return a function's code object as plain data that is the same in every process."""
    constants = [compiled(constant) if inspect.iscode(constant) else describe(constant) for constant in code.co_consts]
    return [code.co_code.hex(), code.co_names, constants]


def checksum(*contents):
    """Return the CRC-32 of `contents`, bytes or tensors, as hexadecimal text."""
    crc = 0
    for content in contents:
        crc = zlib.crc32(content.cpu().contiguous().numpy() if isinstance(content, torch.Tensor) else content, crc)
    return f"{crc:08x}"
