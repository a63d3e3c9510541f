"""The sheet is found on a desk, and not where there is none."""

import numpy as np
import pytest
from drawings import ink_of, on_desk
from scipy import ndimage

from reader import read_digit
from reader.image_ops import shrink
from reader.load_image import load_image
from reader.paper import crop_to_sheet, find_sheet


def sheet(digit):
    return 0.9 - 0.7 * ink_of(digit, (60, 10, 180))


def shadow(edge):
    """The light, [200, 300], with a shadow on the right whose edge is `edge` pixels wide."""
    return 1 - 0.4 * np.clip((np.arange(300) - 130) / edge, 0, 1)


SCENES = {
    "dark desk": lambda digit: on_desk(sheet(digit), 0.2),
    "grey desk": lambda digit: on_desk(sheet(digit), 0.7),
    "dark desk on one side": lambda digit: np.hstack([np.full((200, 50), 0.2), sheet(digit)]),
    "soft shadow": lambda digit: sheet(digit) * shadow(60),
    "hard shadow": lambda digit: sheet(digit) * shadow(2),
}


@pytest.mark.parametrize("name", SCENES)
def test_desks_and_shadows_are_ignored(net, name):
    digits = [0, 2, 4, 5, 7, 9]
    noise = np.random.default_rng(0).normal(0, 0.01, SCENES[name](0).shape)
    pictures = [np.clip(SCENES[name](digit) + noise, 0, 1) for digit in digits]
    assert [int(read_digit(net, picture)[0].argmax()) for picture in pictures] == digits


def test_crop_to_sheet_replaces_the_desk_by_paper():
    picture = np.full((90, 120), 0.2, np.float32)
    picture[20:80, 15:105] = 0.9
    picture[40:60, 60:62] = 0.1
    cropped, (left, top) = crop_to_sheet(picture)
    assert cropped.size < picture.size
    assert (left, top) == (pytest.approx(15, abs=3), pytest.approx(20, abs=3))
    assert cropped.min() == pytest.approx(0.1, abs=0.01)  # the writing is kept
    assert np.quantile(cropped, 0.05) > 0.8  # and the desk is not


def test_a_patch_of_light_is_no_sheet(net):
    light = np.full((400, 520), 0.65)
    light[60:330, 60:420] = 0.9
    inks = [ink_of(digit, (290, 70, 260), (520, 400), 16) for digit in (2, 5, 8)]
    assert [int(read_digit(net, light * (1 - 0.85 * ink))[0].argmax()) for ink in inks] == [2, 5, 8]


def test_a_digit_is_no_sheet(mnist_test):
    for image in mnist_test.images[:300]:
        assert not find_sheet(ndimage.median_filter(shrink(load_image(image), 64), 7, mode="nearest")).any()
