"""Read handwritten digits in photographs: a single digit, or a number of several."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
