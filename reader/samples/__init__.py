"""Pictures of digits that are not from MNIST, to try the network on."""


def paths():
    """Return the pictures' paths, sorted by name: those that make.py makes, and none that a user put beside them."""
    from reader.samples import make  # here, since `python -m reader.samples.synthetic_photos` imports this file first

    return sorted(make.HERE / name for name in make.PICTURES)
