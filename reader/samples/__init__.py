"""Pictures of digits that are not from MNIST, to try the network on."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
LABELS = {"ballpoint.jpg": 5, "chalk.jpg": 3, "label.jpg": 4, "marker.png": 7, "pencil.jpg": 2, "tablet.png": 8}


def paths():
    """Return the paths of the six pictures, sorted by name."""
    return [FOLDER / name for name in sorted(LABELS)]
