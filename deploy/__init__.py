"""What to do with the trained network: give it a picture, export it, put it into a page."""

import io
from pathlib import Path

import torch

from model import Net

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "mnist_6k.pt"


def load_net(path=WEIGHTS):
    """Return `Net` with the weights in the file `path`, in evaluation mode.

    Raises ValueError where they do not fit, and OSError where the file cannot be read. Nothing in it can run code: it
    is loaded with `weights_only=True`.
    """
    net, content = Net(), io.BytesIO(Path(path).read_bytes())
    try:
        net.load_state_dict(torch.load(content, map_location="cpu", weights_only=True))
    except Exception as error:  # torch has many ways to say it
        raise ValueError(f"{path} holds no weights of this network; the notebook and `make save` write some") from error
    return net.eval()
