"""Brightness → ink → 28×28."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.image_ops import otsu_threshold
from reader.ink import extract_ink
from reader.mnist_format import area_weights, to_mnist_format
from reader.samples.synthetic_photos import draw_digit


@pytest.mark.parametrize(("n_in", "n_out"), [(20, 20), (37, 20), (7, 20), (200, 13), (1, 1), (1, 20)])
def test_area_weights_are_means_and_keep_the_total(n_in, n_out):
    weights = area_weights(n_in, n_out)
    assert weights.shape == (n_out, n_in)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_allclose(weights.sum(axis=0), n_out / n_in)


@pytest.mark.parametrize("digit", range(10))
def test_to_mnist_format_scales_to_20_pixels_and_centres_the_mass(digit):
    drawn = draw_digit(digit, (300, 300), 20, (60, 20, 200), np.random.default_rng(0))
    image = to_mnist_format(drawn)
    assert image.shape == (1, 1, 28, 28)
    assert image.dtype == torch.uint8
    assert image.max() == 255
    mass = image[0, 0].double()
    rows, columns = (torch.where(mass.sum(dim=dim) > 0)[0] for dim in (1, 0))
    # 19 if the outermost ink is so faint that it rounds to 0, which depends on how Pillow draws.
    assert int(max(rows[-1] - rows[0], columns[-1] - columns[0])) + 1 in {19, 20}
    positions = torch.arange(28)
    for dim in (0, 1):  # within half a pixel, since the digit is moved by whole ones; rounding to uint8 adds a little
        assert (mass.sum(dim=dim) * positions).sum() / mass.sum() == pytest.approx(14, abs=0.51)


def test_otsu_threshold_lies_between_two_clusters():
    values = np.concatenate([np.random.default_rng(0).normal(0.2, 0.02, 900), np.full(100, 0.8)])
    assert 0.25 < otsu_threshold(values) < 0.8


@settings(deadline=None, derandomize=True, max_examples=25)
@given(height=st.integers(1, 200), width=st.integers(1, 200), dark=st.booleans())
@pytest.mark.parametrize("split", ["corner", "half"])
def test_extract_ink_handles_any_shape(split, height, width, dark):
    brightness = np.full((height, width), float(dark), np.float32)
    brightness[: height // 2 + 1, : width // 2 + 1 if split == "corner" else None] = not dark
    try:
        ink = extract_ink(brightness)
    except ValueError as error:
        assert "no strokes stand out" in str(error)  # noqa: PT017
    else:
        assert ink.ndim == 2


@pytest.mark.parametrize("size", [(120, 2400), (60, 900), (30, 1280)])
def test_extract_ink_handles_a_sheet_in_a_strip(size):
    """Shrunk, the sheet is so narrow that nothing is left when its edge is removed."""
    height, width = size
    brightness = np.full(size, 0.2, np.float32)
    brightness[: height // 2, width // 8 : -(width // 8)] = 0.9
    try:
        assert extract_ink(brightness).ndim == 2
    except ValueError as error:
        assert "no strokes stand out" in str(error)  # noqa: PT017
