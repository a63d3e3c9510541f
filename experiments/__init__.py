"""One module per question; results/ holds what they measured, README.md what follows from it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "experiments" / "results"
