"""The paper: a sheet is found on its desk, and nothing is taken for a sheet that is none."""

import numpy as np
import pytest
from helpers import photographs
from scipy import ndimage

from experiments import other_digits as elsewhere
from experiments import photo_robustness as pictures
from model import load_net
from reader import paper as sheet
from reader.digit import predict
from reader.image_ops import shrink
from reader.load_image import read_picture


@pytest.fixture(scope="module")
def net():
    return load_net()


def holds_a_sheet(brightness):
    return sheet.find_sheet(ndimage.median_filter(shrink(brightness, 64), 7, mode="nearest")) is not None


@pytest.mark.parametrize("kind", pictures.FACTORS["around the sheet"])
def test_a_digit_is_read_on_a_sheet_that_lies_on_a_desk(net, kind):
    found = [int(predict(net, image).argmax()) == digit for image, digit in photographs("around the sheet", kind)]
    assert sum(found) >= len(found) - 1


@pytest.mark.parametrize("kind", ["soft edge, 40%", "hard edge, 20%", "hard edge, 40%"])
def test_a_digit_is_read_across_the_edge_of_a_shadow(net, kind):
    found = [int(predict(net, image).argmax()) == digit for image, digit in photographs("shadow", kind)]
    assert sum(found) >= len(found) - 1


def test_a_sheet_is_cut_out_and_the_desk_becomes_paper():
    picture = np.full((90, 120), 0.2, np.float32)
    picture[20:80, 15:105] = 0.9
    picture[40:60, 60:62] = 0.1
    cut, (left, top) = sheet.cut_out(picture)
    assert cut.size < picture.size
    assert (left, top) == (pytest.approx(15, abs=3), pytest.approx(20, abs=3))
    assert cut.min() == pytest.approx(0.1, abs=0.01)  # what is written is there
    assert np.quantile(cut, 0.05) > 0.8  # and the desk is not


def test_a_picture_that_is_all_paper_stays_as_it_is():
    picture = np.random.default_rng(0).uniform(0.8, 0.9, (90, 120)).astype(np.float32)
    cut, begin = sheet.cut_out(picture)
    assert cut is picture
    assert begin == (0, 0)


def test_no_digit_is_taken_for_a_sheet(mnist):
    images = list(mnist[1].images[:1000].cpu())
    images += [image for image, _ in elsewhere.handwritten()[::4] + elsewhere.printed()]
    assert not any(holds_a_sheet(read_picture(image)) for image in images)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 2), (3, 3), (7, 200)])
def test_a_picture_of_any_shape_is_looked_at(size):
    halves = np.zeros(size, np.float32)
    halves[: size[0] // 2 + 1, : size[1] // 2 + 1] = 1
    assert sheet.cut_out(halves)[0].size > 0
