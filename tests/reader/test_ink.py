"""Brightness → ink: desks and shadows are removed."""

import contextlib

import numpy as np
import pytest
from drawings import ink_of, on_desk
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from reader import read_digit
from reader.image_ops import shrink
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.paper import find_sheet


@settings(deadline=None, derandomize=True, max_examples=25)
@given(height=st.integers(1, 300), width=st.integers(1, 300), dark=st.booleans())
@example(height=120, width=2400, dark=False)  # shrunk, half of it is too narrow to lose its edge
@pytest.mark.parametrize("split", ["corner", "half"])
def test_any_shape_is_read_or_refused(split, height, width, dark):
    brightness = np.full((height, width), float(dark), np.float32)
    brightness[: height // 2 + 1, : width // 2 + 1 if split == "corner" else None] = not dark
    with contextlib.suppress(ValueError):
        assert extract_ink(brightness).ndim == 2


def sheet(digit):
    return 0.9 - 0.7 * ink_of(digit, (60, 10, 180))


LIGHT = np.full((400, 520), 0.65)
LIGHT[60:330, 60:420] = 0.9
SCENES = {
    "dark desk": lambda digit: on_desk(sheet(digit), 0.2),
    "grey desk": lambda digit: on_desk(sheet(digit), 0.7),
    "dark desk on one side": lambda digit: np.hstack([np.full((200, 50), 0.2), sheet(digit)]),
    "soft shadow": lambda digit: sheet(digit) * np.interp(np.arange(300), [130, 190], [1, 0.6]),
    "hard shadow": lambda digit: sheet(digit) * np.interp(np.arange(300), [130, 132], [1, 0.6]),
    "patch of light": lambda digit: LIGHT * (1 - 0.85 * ink_of(digit, (290, 70, 260), (520, 400), 16)),
}


@pytest.mark.parametrize("name", SCENES)
def test_desks_and_light_are_ignored(net, name):
    digits = [0, 2, 5, 8, 9]
    noise = np.random.default_rng(0).normal(0, 0.01, SCENES[name](0).shape)
    pictures = [np.clip(SCENES[name](digit) + noise, 0, 1) for digit in digits]
    assert [int(read_digit(net, picture)[0].argmax()) for picture in pictures] == digits


def test_a_digit_is_no_sheet(mnist_test):
    for image in mnist_test.images[:300]:
        assert not find_sheet(ndimage.median_filter(shrink(load_image(image), 64), 7, mode="nearest")).any()
