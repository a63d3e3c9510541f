"""Check the claims about the committed network in about ten seconds, without training: `make verify`

Prints one line for each check and exits with status 1 if one of them fails.
"""

import contextlib
import io
import sys
from pathlib import Path

import torchsummary

import utils
from model import load_net

ROOT = Path(__file__).resolve().parent.parent
SUMMARY = ROOT / "tools" / "reference_summary.txt"  # torchsummary's table of the network in the assignment


def check(net):
    """Yield for each claim about `net`, a `Net`, whether it holds, and what was found."""
    parameters = sum(p.numel() for p in net.parameters())
    yield parameters == 6456, f"{parameters:,} parameters"
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        torchsummary.summary(net, (1, 28, 28), device="cpu")
    same = printed.getvalue().startswith(SUMMARY.read_text(encoding="utf-8"))
    yield same, f"the table of layers {'equals' if same else 'differs from'} the one in {SUMMARY.name}"
    _, test = utils.load_mnist(ROOT / "data")
    yield True, "the checksums of the four MNIST archives are right"  # otherwise load_mnist raises OSError
    loss, accuracy = utils.evaluate(net, test)
    correct, n = round(accuracy * len(test.labels)), len(test.labels)
    found = f"{correct:,} of {n:,} test images are classified correctly: {accuracy:.2%}, loss {loss:.4f}"
    yield accuracy > utils.TARGET_ACCURACY, found


def main():
    failed = False
    try:
        for holds, found in check(load_net()):
            print("ok   " if holds else "WRONG", found, flush=True)
            failed |= not holds
    except (OSError, ValueError) as error:
        print("WRONG", error)
        failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
