"""The sheet: found on a desk, and not found where there is none."""

import numpy as np
import pytest
from drawings import count_right, ink_of, read
from scipy import ndimage

from experiments import other_digits
from reader.image_ops import shrink
from reader.load_image import load_image
from reader.paper import crop_to_sheet, find_sheet


@pytest.mark.parametrize(
    ("condition", "level"),
    [
        ("around the sheet", "dark desk"),
        ("around the sheet", "bright desk"),
        ("around the sheet", "dark desk on one side"),
        ("shadow", "soft edge, 40%"),
        ("shadow", "hard edge, 40%"),
    ],
)
def test_read_digit_ignores_desks_and_shadows(net, photos, condition, level):
    pictures = photos(condition, level, n=6)
    assert count_right(net, pictures) >= len(pictures) - 1


def test_crop_to_sheet_replaces_the_desk_by_paper():
    picture = np.full((90, 120), 0.2, np.float32)
    picture[20:80, 15:105] = 0.9
    picture[40:60, 60:62] = 0.1
    cropped, (left, top) = crop_to_sheet(picture)
    assert cropped.size < picture.size
    assert (left, top) == (pytest.approx(15, abs=3), pytest.approx(20, abs=3))
    assert cropped.min() == pytest.approx(0.1, abs=0.01)  # the writing is kept
    assert np.quantile(cropped, 0.05) > 0.8  # and the desk is not


def test_read_digit_reads_digits_across_the_edge_of_a_patch_of_light(net):
    light = np.full((400, 520), 0.65)
    light[60:330, 60:420] = 0.9
    inks = [ink_of(digit, (290, 70, 260), (520, 400), 16) for digit in (2, 5, 8)]
    assert [read(net, light * (1 - 0.85 * ink)) for ink in inks] == [2, 5, 8]


def test_find_sheet_does_not_take_a_digit_for_a_sheet(mnist_test):
    images = [*mnist_test.images[:300]]
    images += [image for image, _ in other_digits.handwritten()[::16] + other_digits.printed()[::3]]
    for image in images:
        assert not find_sheet(ndimage.median_filter(shrink(load_image(image), 64), 7, mode="nearest")).any()
