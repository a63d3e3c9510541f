"""No module of ours hides one of Python's or of a package we use."""

import importlib.metadata
import re
import sys

from helpers import ROOT

FOLDERS = ("experiments", "reader", "tools", "training", "web")


def test_module_names_are_not_taken():
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    used = {name.lower().replace("_", "-") for name in re.findall(r"^([\w.-]+)==", lock, flags=re.MULTILINE)}
    packages = importlib.metadata.packages_distributions()
    taken = {top for top, owners in packages.items() if used & {owner.lower().replace("_", "-") for owner in owners}}
    taken |= sys.stdlib_module_names
    assert {"torch", "numpy", "statistics"} <= taken
    names = {path.stem for path in ROOT.glob("*.py")}
    names |= {path.stem for folder in FOLDERS for path in (ROOT / folder).rglob("[!_]*.py")}
    assert {"model", "seeds"} <= names
    assert (names | set(FOLDERS)) & taken == set()
