"""How a step is made fast on the CPU, and when it cannot be.

Neither of the first two changes a result by more than rounding; what each is worth was measured by
experiments/speedups.py.
"""

import contextlib
import ctypes
import functools
import os
import time
import warnings
from pathlib import Path

import torch


@functools.cache
def keep_freed_memory():
    """Let glibc keep the memory of freed activations instead of returning it to the kernel; elsewhere do nothing.

    Taking it back costs more than two thousand page faults a step. Without this, a training step on two cores takes
    1.12 times as long at the median, though single measurements scatter.
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
    1.42 times as long at the median.
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


def warn_where_busy():
    """Warn, in one line, where other programs leave fewer cores idle than torch has threads.

    Threads wait for each other, spinning, at the end of every operation. Where one of them has to share its core, a
    step can take many times as long, while a single thread loses no more than its share.
    """
    threads = torch.get_num_threads()
    idle = idle_cores() if threads > 1 else None
    if idle is not None and idle < threads - 0.5:
        warnings.warn(
            f"About {idle:.1f} cores are idle, and torch has {threads} threads, which wait for each other: a step may "
            "take many times as long. End other programs, or set OMP_NUM_THREADS=1 before Python starts; one thread "
            "rounds differently, which acts like another seed.",
            stacklevel=3,  # who called fit
        )


def idle_cores(seconds=0.25):
    """Return how many of the cores that this process may use others leave idle, about; None where nothing tells.

    Linux counts the time that each core is idle, so that a moment's look is enough, to which this process's own work is
    added. Elsewhere there is the load average of the last minute, and what this process had a part in it is taken off:
    at most its processor time in minutes, and at most its threads. Windows has neither.
    """
    if Path("/proc/stat").exists():
        cores = os.sched_getaffinity(0)
        before, own = core_times(Path("/proc/stat").read_text()), time.process_time()
        time.sleep(seconds)
        after, own = core_times(Path("/proc/stat").read_text()), time.process_time() - own
        return min(len(cores), sum(idle_share(before, after, core) for core in cores) + own / seconds)
    if hasattr(os, "getloadavg"):
        cores = getattr(os, "process_cpu_count", os.cpu_count)()  # only since Python 3.13
        own = min(time.process_time() / 60, torch.get_num_threads())
        return min(cores, max(0, cores - (os.getloadavg()[0] - own)))
    return None


def core_times(text):
    """Return, of the content of Linux's /proc/stat, each core's idle time and its time in all: core → two counts."""
    rows = [line.split() for line in text.splitlines() if line.startswith("cpu")][1:]  # the first is all cores together
    # user, nice, system, idle, waiting for a disk, interrupts (two), taken by other guests of the machine
    counts = {int(name.removeprefix("cpu")): [int(count) for count in row[:8]] for name, *row in rows}
    return {core: (count[3] + count[4], sum(count)) for core, count in counts.items()}


def idle_share(before, after, core):
    """Return which share of the time between two `core_times` the `core` was idle; 1 where nothing was counted."""
    (idle, total), (idle_then, total_then) = after.get(core, (0, 0)), before.get(core, (0, 0))
    return (idle - idle_then) / (total - total_then) if total > total_then else 1.0
