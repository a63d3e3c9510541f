"""Brightness → ink → 28×28."""

import numpy as np
import pytest
import torch
from drawings import ink_of
from hypothesis import given, settings
from hypothesis import strategies as st

from reader.ink import extract_ink
from reader.mnist_format import to_mnist_format


@pytest.mark.parametrize("digit", [1, 4, 8])
def test_to_mnist_format_scales_to_20_pixels_and_centres_the_mass(digit):
    image = to_mnist_format(ink_of(digit, (60, 20, 200), (300, 300), 20))
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


def extract_or_refuse(brightness):
    try:
        assert extract_ink(brightness).ndim == 2
    except ValueError as error:
        assert "no strokes stand out" in str(error)  # noqa: PT017


@settings(deadline=None, derandomize=True, max_examples=25)
@given(height=st.integers(1, 300), width=st.integers(1, 300), dark=st.booleans())
@pytest.mark.parametrize("split", ["corner", "half"])
def test_extract_ink_handles_any_shape(split, height, width, dark):
    brightness = np.full((height, width), float(dark), np.float32)
    brightness[: height // 2 + 1, : width // 2 + 1 if split == "corner" else None] = not dark
    extract_or_refuse(brightness)


@pytest.mark.parametrize("size", [(120, 2400), (30, 1280)])
def test_extract_ink_handles_a_sheet_in_a_strip(size):
    """Shrunk, the sheet is so narrow that nothing is left when its edge is removed."""
    height, width = size
    brightness = np.full(size, 0.2, np.float32)
    brightness[: height // 2, width // 8 : -(width // 8)] = 0.9
    extract_or_refuse(brightness)
