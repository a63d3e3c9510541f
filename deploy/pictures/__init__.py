"""Pictures of digits that are not from MNIST, to try the network on."""

from pathlib import Path


def paths():
    """Return the pictures' paths, sorted by name."""
    return sorted(path for path in Path(__file__).parent.iterdir() if path.suffix in {".png", ".jpg"})
