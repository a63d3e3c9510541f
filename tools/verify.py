"""Check the claim in some ten seconds, without training: `make verify`

Prints a line for each of four facts (the parameters, the layer table, the data, the accuracy of the committed weights)
with what was found, and ends with exit status 1 where one of them does not hold.
"""

import contextlib
import hashlib
import io
import sys
from pathlib import Path

import torchsummary

import utils
from model import Net, load_net
from training.data import ARCHIVES

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "tests" / "table.txt"  # what torchsummary prints of the reference network
PARAMETERS = 6456


def check_parameters():
    found = sum(p.numel() for p in Net().parameters())
    return found == PARAMETERS, f"{found:,} parameters"


def check_table():
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        torchsummary.summary(Net(), (1, 28, 28), device="cpu")
    wanted = TABLE.read_text(encoding="utf-8").splitlines()
    found = printed.getvalue().splitlines()[: len(wanted)]
    differing = [line for line, other in zip(found, wanted, strict=False) if line != other]
    if differing or len(found) != len(wanted):
        return False, f"the layer table differs from the reference's: {', '.join(differing) or 'it is shorter'}"
    return True, "the table of 43 layers is the reference's, line for line"


def check_data():
    wrong = []
    for name, md5 in ARCHIVES.items():
        path = ROOT / "data" / "MNIST" / "raw" / name
        if not path.exists() or hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            wrong.append(name)
    return not wrong, f"MD5 of the four archives: {'wrong or missing: ' + ', '.join(wrong) if wrong else 'canonical'}"


def check_accuracy():
    _, test = utils.load_mnist(ROOT / "data")
    loss, accuracy = utils.evaluate(load_net(), test)
    correct, total = round(accuracy * len(test.labels)), len(test.labels)
    found = f"mnist_6k.pt classifies {correct:,} of {total:,} test images correctly: {accuracy:.2%}, loss {loss:.4f}"
    return accuracy > utils.TARGET_ACCURACY, found


def main():
    failed = 0
    for check in (check_parameters, check_table, check_data, check_accuracy):
        try:
            good, found = check()
        except (OSError, ValueError) as error:
            good, found = False, str(error).splitlines()[0]
        print(f"{'ok    ' if good else 'WRONG '} {found}", flush=True)
        failed += not good
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
