"""How a step is made fast on a CUDA GPU: two kinds of layers computed otherwise, and all of it recorded and replayed.

Replaying takes one launch where the step as it is takes one for every operation. A recorded step works on fixed tensors
only, so nothing in it may be read back to the host or counted in Python. What each is worth was measured by
experiments/gpu.py; none changes a result by more than rounding.
"""

import functools
import warnings

import torch
from tqdm import tqdm

WARM_UP = 3  # steps
WIDE = 1 << 15  # values a channel, in all images of a batch

# --- Layers ----------------------------------------------------------------------------------------------------------


def speed_up_layers(model):
    """Have `model` compute its 1×1 convolutions and its wide BatchNorm layers in the ways below."""
    for layer in model.modules():
        if is_pointwise(layer):
            layer.forward = functools.partial(multiply_channels, layer)
        elif type(layer) is torch.nn.BatchNorm2d:
            layer.forward = functools.partial(normalize_channels_last, layer)


def is_pointwise(layer):
    """Return whether `layer` is a 1×1 convolution and nothing more: without stride, padding and groups."""
    return type(layer) is torch.nn.Conv2d and (
        (layer.kernel_size, layer.stride, layer.padding, layer.groups) == ((1, 1), (1, 1), (0, 0), 1)
    )


def multiply_channels(layer, images):
    """Return what the 1×1 convolution `layer` makes of `images` [N, in, H, W], as a matrix product an image.

    For the gradient of so few weights, cuDNN's repeatable kernels leave most of a large GPU idle.
    """
    if images.ndim != 4:  # a single image, which a convolution takes as well
        return type(layer).forward(layer, images)
    weights = layer.weight.flatten(1).expand(len(images), -1, -1)  # [N, out, in]
    product = torch.bmm(weights, images.flatten(2)).unflatten(2, images.shape[2:])
    return product if layer.bias is None else product + layer.bias[:, None, None]


def normalize_channels_last(layer, images):
    """Return what the BatchNorm `layer` makes of `images` [N, C, H, W], where it is wide with their channels last.

    cuDNN gives each channel to one of a GPU's many processors. torch's own kernel for this layout gives it to several.
    """
    plain = type(layer).forward
    if not layer.training or images.numel() < WIDE * images.shape[1]:
        return plain(layer, images)
    images = images.contiguous(memory_format=torch.channels_last)
    if images.requires_grad:
        images.register_hook(torch.Tensor.contiguous)
    with torch.backends.cudnn.flags(enabled=False):
        normalized = plain(layer, images)
    if normalized.requires_grad:
        normalized.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
    return normalized.contiguous()


# --- The step --------------------------------------------------------------------------------------------------------


def fast_step(trainer):
    """Return what makes the step of `trainer`, a function: recorded on a CUDA GPU, the step as it is elsewhere."""
    return RecordedStep(trainer) if trainer.rows.device.type == "cuda" else trainer.step


class RecordedStep:
    """The step of `trainer`, recorded on its first calls and replayed from then on.

    The first `WARM_UP` calls make the step as it is, on a side stream as recording asks: every library finds its
    workspace in them, and the optimizers their state. They are steps of the training like any other, and recording
    itself computes nothing, so nothing has to be put back. Where recording fails, one line says why, and all further
    calls make the step as it is, which gives the same results more slowly. With dropout above zero, a replayed step may
    draw other random numbers than the step as it is. Source: PyTorch's notes on CUDA semantics, "CUDA graphs".
    """

    def __init__(self, trainer):
        self.trainer, self.device = trainer, trainer.rows.device
        with torch.cuda.device(self.device):  # streams and graphs belong to the current one, which may be another
            self.stream = torch.cuda.Stream()
        self.calls, self.run = 0, None
        self.reason = keep_on_device(trainer.optimizers)

    def __call__(self):
        with torch.cuda.device(self.device):
            if self.calls < WARM_UP:
                self.calls += 1
                self.warm_up()
            else:
                self.run = self.run or self.record()
                self.run()

    def warm_up(self):
        """Make a step on the side stream, behind all that is under way and before all that comes."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*capturable=True", category=UserWarning)  # it soon will be
            self.trainer.step()
        torch.cuda.current_stream().wait_stream(self.stream)

    def record(self):
        """Return what makes a step from now on: the recording's replay, or where that fails, the step as it is."""
        reason, current = self.reason, torch.cuda.current_stream()
        if reason is None:
            try:
                self.trainer.model.zero_grad()  # so that the gradients come to lie in the graph's own memory
                graph = torch.cuda.CUDAGraph()
                with torch.cuda.graph(graph, stream=self.stream):
                    self.trainer.step()
                return graph.replay
            except Exception as error:  # whatever a model or an optimizer does that cannot be recorded
                torch.cuda.set_stream(current)
                reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        tqdm.write(f"The step cannot be recorded as a CUDA graph ({reason}). Training goes on without, more slowly.")
        return self.trainer.step


def keep_on_device(optimizers):
    """Have torch's own optimizers keep all they need on the GPU; return why one cannot, or None where all can.

    Those with `capturable` get it. SGD gets `fused`, since it reads the learning rate back otherwise. Optimizers that
    are not torch's are left as they are.
    """
    for optimizer in optimizers:
        kinds = [kind for kind in type(optimizer).__mro__ if kind.__module__.startswith("torch.optim")]
        for group in optimizer.param_groups:
            if "capturable" in group:
                group["capturable"] = True
            elif isinstance(optimizer, torch.optim.SGD):
                group.update(fused=True, foreach=False)
            elif kinds[0] is not torch.optim.Optimizer:
                return f"{type(optimizer).__name__} reads its learning rate back; SGD and AdamW, say, do not"
    return None
