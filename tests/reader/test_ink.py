"""Brightness → ink → 28×28, step by step."""

import numpy as np
import pytest
import torch

from reader import image_ops as shrink
from reader import ink
from reader.samples import synthetic_photos as make


@pytest.mark.parametrize(("n", "into"), [(20, 20), (37, 20), (7, 20), (200, 13), (1, 1), (1, 20)])
def test_shares_are_means_that_lose_nothing(n, into):
    shares = ink.shares(n, into)
    assert shares.shape == (into, n)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(shares.sum(axis=0), into / n)


@pytest.mark.parametrize("digit", range(10))
def test_the_box_is_20_and_its_centre_of_mass_in_the_middle(digit):
    drawn = make.draw(digit, (300, 300), 20, (60, 20, 200), np.random.default_rng(0))
    image = ink.center_ink(drawn)
    assert image.shape == (1, 1, 28, 28)
    assert image.dtype == torch.uint8
    assert image.max() == 255
    mass = image[0, 0].double()
    rows, columns = (torch.where(mass.sum(dim=dim) > 0)[0] for dim in (1, 0))
    # 19 where the outermost ink is so faint that it rounds to nothing, which depends on how Pillow draws.
    assert int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1 in {19, 20}
    places = torch.arange(28)
    for dim in (0, 1):
        # Half a pixel, since it is moved by whole ones, and what rounding to bytes adds.
        assert (mass.sum(dim=dim) * places).sum() / mass.sum() == pytest.approx(14, abs=0.51)


def test_otsu_splits_between_two_heaps():
    values = np.concatenate([np.random.default_rng(0).normal(0.2, 0.02, 900), np.full(100, 0.8)])
    assert 0.25 < shrink.split_in_two(values) < 0.8
