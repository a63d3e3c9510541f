"""What experiments/README.md tells, as the tests of it read it."""

from helpers import ROOT

FOLDER = ROOT / "experiments"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
TEXT = " ".join(README.split())  # with its lines joined
