"""Count what the tests try in order to break this repository, as README states it.

python tools/count.py    prints a line a kind of trouble, and how many cases of it the suite has
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"

# What README calls it, and the names of the tests that do it.
KINDS = {
    "wrong arguments": "test_bad_input.py::test_it_is_refused",
    "data files missing, torn, altered, swapped or unreadable": "test_data_faults.py::",
    "checkpoints of another run, torn or hostile": "test_checkpoint.py::test_(the_checkpoint|what_is_no|a_flip|a_fo)",
    "disks that are full, forbidden or broken": "test_checkpoint.py::test_a_(disk_that|torn_write|checkpoint_that)",
    "Stop, pressed in each epoch": "test_checkpoint.py::test_a_stopped_run",
}
FILES = ("test_bad_input.py", "test_data_faults.py", "test_checkpoint.py")


def collected():
    """Return the tests in `FILES` as pytest names them, one a case."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", *(f"tests/{name}" for name in FILES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def constant(file, name):
    """Return the number that the test file `file` assigns to `name`, or passes as `name`."""
    return int(re.search(rf"\b{name} ?= ?(\d+)", (TESTS / file).read_text(encoding="utf-8"))[1])


def count():
    """Return what there is of every kind: what it is → how many."""
    cases = collected()
    counts = {kind: sum(bool(re.search(pattern, case)) for case in cases) for kind, pattern in KINDS.items()}
    properties = len(re.findall(r"^@given", (TESTS / "test_properties.py").read_text(encoding="utf-8"), re.MULTILINE))
    return counts | {
        "kills at random moments, all survived": constant("test_checkpoint.py", "KILLS"),
        "random inputs": properties * constant("test_properties.py", "max_examples"),
    }


def main():
    for kind, cases in count().items():
        print(f"| {kind} | {cases} |")


if __name__ == "__main__":
    main()
