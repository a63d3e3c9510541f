"""What makes a training step fast, each speed-up under its own name. None changes a result by more than rounding.

experiments/speed.py measures what each is worth.
"""

import contextlib
import ctypes
import functools
import warnings

import torch
from torch import nn

ON_CPU = {"malloc", "channels_last", "batchnorm_channels_first"}
ON_CUDA = {"cuda_graph", "conv1x1_as_bmm", "batchnorm_channels_last"}
ALL = ON_CPU | ON_CUDA

WARM_UP = 3  # uncaptured steps before the capture
MIN_VALUES_PER_CHANNEL = 1 << 15  # in a batch: BatchNorm layers with fewer stay as they are on a GPU
MAX_NARROW_CHANNELS = 15  # BatchNorm layers with more stay channels_last on a CPU


@functools.cache
def tune_malloc():
    """Let glibc keep the memory of freed activations, for the rest of the process; do nothing on other systems.

    Otherwise glibc returns it to the kernel, and every step takes thousands of page faults to get it back.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL("libc.so.6").mallopt  # returns 1 if it accepts a value, else 0
        # M_MMAP_THRESHOLD: smaller blocks come from the heap. glibc before 2.35 accepts no more than 32 MiB.
        if mallopt(-3, 1 << 30) or mallopt(-3, 1 << 25):
            mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD: the heap shrinks only when 2 GiB of it are free


def convert(model, device, speedups):
    """Replace layers of `model` by faster ones for `device`, in place, and return it. Parameters stay the same."""
    on_gpu = speedups if device.type == "cuda" else set()
    channels_first = device.type == "cpu" and torch.get_num_threads() > 1
    channels_first = channels_first and {"channels_last", "batchnorm_channels_first"} <= speedups
    for layer in model.modules():  # a new class: the same parameters and settings, another forward
        if type(layer) is nn.BatchNorm2d and "batchnorm_channels_last" in on_gpu:
            layer.__class__ = BatchNormChannelsLast
        elif type(layer) is nn.BatchNorm2d and channels_first and layer.num_features <= MAX_NARROW_CHANNELS:
            layer.__class__ = BatchNormChannelsFirst
        elif type(layer) is nn.Conv2d and "conv1x1_as_bmm" in on_gpu:
            settings = layer.kernel_size, layer.stride, layer.padding, layer.groups
            if settings == ((1, 1), (1, 1), (0, 0), 1):
                layer.__class__ = Conv1x1AsBmm
    return model


class ToMemoryFormat(torch.autograd.Function):
    """Convert activations [N, C, H, W] to one memory format, and their gradient back to another."""

    @staticmethod
    def forward(ctx, values, memory_format, gradient_format):
        ctx.gradient_format = gradient_format
        return values.contiguous(memory_format=memory_format)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.contiguous(memory_format=ctx.gradient_format), None, None


class BatchNormChannelsFirst(nn.BatchNorm2d):
    """Train a BatchNorm layer of few channels channels-first, inside a model that is channels_last.

    With the channels innermost, each thread keeps its sums in one row of a small array, and rows of fewer than 16
    floats share a cache line, which the cores then take from each other (false sharing).
    """

    def forward(self, images):
        if not self.training:
            return super().forward(images)
        images = ToMemoryFormat.apply(images, torch.contiguous_format, torch.channels_last)
        return ToMemoryFormat.apply(super().forward(images), torch.channels_last, torch.contiguous_format)


class BatchNormChannelsLast(nn.BatchNorm2d):
    """Train a BatchNorm layer of many values channels_last, with PyTorch's kernel instead of cuDNN's.

    cuDNN computes each channel on one of a GPU's many processors; PyTorch's kernel for this layout uses several.
    """

    def forward(self, images):
        if not self.training or images.numel() < MIN_VALUES_PER_CHANNEL * images.shape[1]:
            return super().forward(images)
        images = ToMemoryFormat.apply(images, torch.channels_last, torch.contiguous_format)
        with torch.backends.cudnn.flags(enabled=False):
            normalized = super().forward(images)
        return ToMemoryFormat.apply(normalized, torch.contiguous_format, torch.channels_last)


class Conv1x1AsBmm(nn.Conv2d):
    """Compute a 1×1 convolution as one matrix product per image: [out, in] @ [in, H·W].

    For the gradient of so few weights, cuDNN's deterministic kernels leave most of a large GPU idle.
    """

    def forward(self, images):
        weights = self.weight.flatten(1).expand(len(images), -1, -1)  # [N, out, in]
        product = torch.bmm(weights, images.flatten(2)).unflatten(2, images.shape[2:])
        return product if self.bias is None else product + self.bias[:, None, None]


def make_run_step(step, state):
    """Return a function that runs `step(state)`: captured on a CUDA GPU, plain elsewhere."""
    is_cuda = state.train.images.device.type == "cuda"
    return GraphedStep(step, state) if is_cuda and "cuda_graph" in state.speedups else functools.partial(step, state)


class GraphedStep:
    """`step(state)`, captured as a CUDA graph on its first calls and replayed from then on.

    The first `WARM_UP` calls run the step uncaptured, on a side stream as capture requires: libraries set up their
    workspaces, and optimizers their state. They are training steps like any other; capture itself computes nothing,
    so nothing has to be undone. If capture fails, warn once and run the step uncaptured: same results, slower.
    With dropout, a replayed step may draw other random numbers than an uncaptured one.
    Source: PyTorch's notes on CUDA semantics, "CUDA graphs".
    """

    def __init__(self, step, state):
        self.step, self.state, self.device = step, state, state.train.images.device
        with torch.cuda.device(self.device):  # streams and graphs belong to the current device, maybe another one
            self.stream = torch.cuda.Stream()
        self.calls, self.run = 0, None
        prepare_capture(state.optimizers)

    def __call__(self):
        with torch.cuda.device(self.device):
            if self.calls < WARM_UP:
                self.calls += 1
                self.warm_up()
            else:
                self.run = self.run or self.capture()
                self.run()

    def warm_up(self):
        """Run the step on the side stream, after everything queued before it and before everything after it."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*capturable=True", category=UserWarning)  # soon captured
            self.step(self.state)
        torch.cuda.current_stream().wait_stream(self.stream)

    def capture(self):
        """Return what runs a step from now on: the captured graph's replay or, if that fails, the step itself."""
        current = torch.cuda.current_stream()
        try:
            self.state.live_model.zero_grad()  # so that the graph allocates the gradients in its own memory
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                self.step(self.state)
            return graph.replay
        except Exception as error:  # anything in a model or an optimizer that cannot be captured
            torch.cuda.set_stream(current)
            warnings.warn(f"training slower, since the step cannot be captured as a CUDA graph: {error}", stacklevel=2)
            return functools.partial(self.step, self.state)


def prepare_capture(optimizers):
    """Make torch's optimizers keep everything on the GPU: by `capturable` if they have it, and SGD by `fused`."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True
            elif isinstance(optimizer, torch.optim.SGD):
                group.update(fused=True, foreach=False)
