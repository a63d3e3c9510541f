"""The network: 43 layers and 6,456 parameters that classify a 28×28 digit.

Every block is convolution(s) → ReLU → BatchNorm → Dropout, without biases. In four blocks, the 3×3
convolution is split in two to save parameters: a depthwise 3×3 within each channel, then a 1×1 that mixes the
channels (Howard et al., "MobileNets", 2017, section 3.1).
"""

import contextlib
import io
import numbers
from pathlib import Path

import torch
from torch import nn

WEIGHTS = Path(__file__).resolve().parent / "mnist_6k.pt"  # written by the notebook's last run: `make save`


def conv3x3(channels_in, channels_out, padding=0):
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=padding, bias=False)


def conv1x1(channels_in, channels_out):
    return nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False)


def depthwise3x3(channels):
    return nn.Conv2d(channels, channels, kernel_size=3, groups=channels, bias=False)


def block(*convolutions, dropout):
    """Return the layers convolution(s) → ReLU → BatchNorm → Dropout as a list."""
    channels = convolutions[-1].out_channels
    return [*convolutions, nn.ReLU(), nn.BatchNorm2d(channels), nn.Dropout(float(dropout))]


class Net(nn.Module):
    """Map float32 images [N, 1, 28, 28] to logits [N, 10].

    | stage  | turns           | into       | receptive field | parameters |
    |--------|-----------------|------------|-----------------|------------|
    | edges  | [N, 1, 28, 28]  | 8 × 24×24  | 5×5             | 680        |
    | parts  | 8 × 24×24       | 16 × 20×20 | 9×9             | 664        |
    | shrink | 16 × 20×20      | 8 × 10×10  | 10×10           | 144        |
    | shapes | 8 × 10×10       | 32 × 6×6   | 22×22           | 4,240      |
    | digits | 32 × 6×6        | [N, 10]    | 28×28, all of it | 728       |

    `dropout` is the rate after each block, a fraction from 0 up to but not including 1.
    """

    def __init__(self, dropout=0.0):
        super().__init__()
        if not (isinstance(dropout, numbers.Real) and 0 <= dropout < 1):
            raise ValueError(f"dropout is {dropout!r}; it must be a number, at least 0 and below 1")
        self.edges = nn.Sequential(
            *block(conv3x3(1, 8), dropout=dropout),
            *block(conv3x3(8, 8), dropout=dropout),
        )
        self.parts = nn.Sequential(
            *block(depthwise3x3(8), conv1x1(8, 16), dropout=dropout),
            *block(depthwise3x3(16), conv1x1(16, 16), dropout=dropout),
        )
        self.shrink = nn.Sequential(nn.MaxPool2d(2), *block(conv1x1(16, 8), dropout=dropout))
        self.shapes = nn.Sequential(
            *block(conv3x3(8, 16), dropout=dropout),
            *block(conv3x3(16, 16, padding=1), dropout=dropout),
            *block(depthwise3x3(16), conv1x1(16, 32), dropout=dropout),
        )
        self.digits = nn.Sequential(
            *block(depthwise3x3(32), conv1x1(32, 10), dropout=dropout),
            nn.AvgPool2d(4),
            conv1x1(10, 10),
        )

    def forward(self, images):
        is_tensor = isinstance(images, torch.Tensor)  # torch.fx traces the network with something else
        if is_tensor and (images.shape[1:] != (1, 28, 28) or not torch.is_floating_point(images)):
            got = f"{str(images.dtype).removeprefix('torch.')} {list(images.shape)}"
            raise ValueError(f"images are {got}; Net expects float32 [N, 1, 28, 28], normalised")
        features = self.shapes(self.shrink(self.parts(self.edges(images))))
        return self.digits(features).flatten(1)  # [N, 10, 1, 1] → [N, 10]


def load_net(path=WEIGHTS):
    """Return `Net` with the weights in the file `path`, in evaluation mode, on the CPU.

    Weights saved from `torch.compile(net)` or `DataParallel(net)` are accepted, too. Loading cannot run code from the
    file: it uses `weights_only=True`. Raises OSError if the file cannot be read, and ValueError if it does not hold
    weights of this network.
    """
    content = io.BytesIO(Path(path).expanduser().read_bytes())
    with torch.device("cpu"):
        net = Net()
    try:
        weights = torch.load(content, map_location="cpu", weights_only=True)
        # torch.compile and DataParallel put these prefixes before every name.
        net.load_state_dict({k.replace("_orig_mod.", "").replace("module.", ""): v for k, v in weights.items()})
    except Exception as error:  # torch raises many types here
        raise ValueError(f"{path} does not hold weights of Net; save_weights(net, path) writes such a file") from error
    return net.eval()


def save_weights(model, path):
    """Save the weights of `model` to the file `path`, as contiguous CPU tensors, so that they load on any machine.

    Missing folders are created. An existing file is replaced only when the new one is complete. Raises OSError if the
    file cannot be written.
    """
    path, content = Path(path).expanduser(), io.BytesIO()
    torch.save({name: value.cpu().contiguous() for name, value in model.state_dict().items()}, content)
    unfinished = path.with_name(f"{path.name}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content.getvalue())
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        message = f"the weights cannot be saved as {path}: {error.strerror}; choose a writable folder"
        raise OSError(message) from error
