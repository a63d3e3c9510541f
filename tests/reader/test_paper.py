"""The sheet: found on a desk, and not found where there is none."""

import numpy as np
import pytest
from scipy import ndimage

from experiments import other_digits, photo_robustness
from reader import predict
from reader.image_ops import shrink
from reader.load_image import load_image
from reader.paper import crop_to_sheet, find_sheet
from reader.samples.synthetic_photos import draw_digit


@pytest.mark.parametrize("level", photo_robustness.CONDITIONS["around the sheet"])
def test_predict_reads_a_sheet_on_a_desk(net, photos, level):
    right = [int(predict(net, image).argmax()) == digit for image, digit in photos("around the sheet", level)]
    assert sum(right) >= len(right) - 1


@pytest.mark.parametrize("level", ["soft edge, 40%", "hard edge, 20%", "hard edge, 40%"])
def test_predict_reads_across_the_edge_of_a_shadow(net, photos, level):
    right = [int(predict(net, image).argmax()) == digit for image, digit in photos("shadow", level)]
    assert sum(right) >= len(right) - 1


def test_crop_to_sheet_replaces_the_desk_by_paper():
    picture = np.full((90, 120), 0.2, np.float32)
    picture[20:80, 15:105] = 0.9
    picture[40:60, 60:62] = 0.1
    cropped, (left, top) = crop_to_sheet(picture)
    assert cropped.size < picture.size
    assert (left, top) == (pytest.approx(15, abs=3), pytest.approx(20, abs=3))
    assert cropped.min() == pytest.approx(0.1, abs=0.01)  # the writing is kept
    assert np.quantile(cropped, 0.05) > 0.8  # and the desk is not


@pytest.mark.parametrize("digit", [2, 5, 8])
def test_predict_reads_a_digit_across_the_edge_of_a_patch_of_light(net, digit):
    light = np.full((400, 520), 0.65)
    light[60:330, 60:420] = 0.9
    ink = draw_digit(digit, (520, 400), 16, (290, 70, 260), np.random.default_rng(0))
    assert int(predict(net, light * (1 - 0.85 * ink)).argmax()) == digit


def test_crop_to_sheet_returns_plain_paper_unchanged():
    picture = np.random.default_rng(0).uniform(0.8, 0.9, (90, 120)).astype(np.float32)
    cropped, offset = crop_to_sheet(picture)
    assert cropped is picture
    assert offset == (0, 0)


def test_find_sheet_does_not_take_a_digit_for_a_sheet(mnist):
    images = list(mnist[1].images[:1000].cpu())
    images += [image for image, _ in other_digits.handwritten()[::4] + other_digits.printed()]
    for image in images:
        assert not find_sheet(ndimage.median_filter(shrink(load_image(image), 64), 7, mode="nearest")).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2), (3, 3), (7, 200)])
def test_crop_to_sheet_handles_any_shape(size):
    picture = np.zeros(size, np.float32)
    picture[: size[0] // 2 + 1, : size[1] // 2 + 1] = 1
    cropped, _ = crop_to_sheet(picture)
    assert cropped.ndim == 2
    assert cropped.size > 0
