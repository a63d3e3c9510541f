"""Random affine maps, drawn per image and applied as one batch operation."""

import pytest
import torch
import torch.nn.functional as F

import utils
from training.augmentation import warp

pytestmark = pytest.mark.numeric


def affines(n=1000, seed=0, **limits):
    still = {"degrees": 0, "shift": 0, "scale": 0, "shear": 0}
    return utils.random_affines(n, generator=torch.Generator().manual_seed(seed), **(still | limits))


def test_warp_agrees_with_torch():
    """On noise, since MNIST's own borders are empty. Coordinates that differ by 1e-5 pixels change it by 0.003."""
    images = torch.randint(256, (64, 1, 28, 28), dtype=torch.uint8)
    maps = utils.random_affines(64, generator=torch.Generator().manual_seed(1))
    grid = F.affine_grid(maps, [64, 1, 28, 28], align_corners=False)
    expected = F.grid_sample(images.float(), grid, align_corners=False)
    torch.testing.assert_close(warp(images, maps), expected, atol=0.05, rtol=0)
    far = torch.tensor([[1.0, 0.0, 3.0], [0.0, 1.0, 0.0]]).expand(64, 2, 3)
    assert warp(images, far).abs().max() == 0  # what leaves the image is replaced by background


def test_each_image_gets_its_own_map_which_depends_on_the_seed_only():
    maps = affines(degrees=10, shift=0.1)
    assert len(torch.unique(maps.flatten(1), dim=0)) == 1000
    assert torch.equal(maps, affines(degrees=10, shift=0.1))
    assert not torch.equal(maps, affines(seed=1, degrees=10, shift=0.1))


def test_rotation_is_bounded_and_keeps_the_area():
    maps = affines(degrees=10)
    angles = torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))
    assert 9.5 < angles.max() <= 10.001
    assert -10.001 <= angles.min() < -9.5
    torch.testing.assert_close(torch.linalg.det(maps[:, :, :2]), torch.ones(1000))


def test_shift_is_bounded_in_image_widths():
    moves = affines(shift=0.08)[:, :, 2] / 2
    assert 0.075 < moves.abs().max() <= 0.08
    assert moves[:, 0].std().item() == pytest.approx(moves[:, 1].std().item(), rel=0.1)
    assert abs(torch.corrcoef(moves.T)[0, 1]) < 0.1


def test_scale_is_bounded():
    zoom = 1 / torch.linalg.det(affines(scale=0.1)[:, :, :2]).sqrt()
    assert 1.095 < zoom.max() <= 1.1001
    assert 0.8999 <= zoom.min() < 0.905


def test_shear_is_bounded_and_keeps_the_area():
    maps = affines(shear=8)
    angles = torch.rad2deg(torch.atan(maps[:, 0, 1]))
    assert 7.5 < angles.abs().max() <= 8.001
    torch.testing.assert_close(torch.linalg.det(maps[:, :, :2]), torch.ones(1000))
