"""How a step is made fast on the CPU. Neither of these two changes a result by more than rounding.

What each is worth was measured by experiments/tricks.py.
"""

import contextlib
import ctypes
import functools

import torch


@functools.cache
def keep_freed_memory():
    """Let glibc keep the memory of freed activations instead of returning it to the kernel; elsewhere do nothing.

    Taking it back costs more than two thousand page faults a step. Without this, a training step on two cores takes
    1.16 times as long at the median, though single measurements scatter.
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
    1.10 times as long at the median, though single measurements scatter.
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
