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
    assert abs(torch.corrcoef(maps[:, :, 2].T)[0, 1]) < 0.1  # the two axes are shifted independently
    assert torch.equal(maps, affines(degrees=10, shift=0.1))
    assert not torch.equal(maps, affines(seed=1, degrees=10, shift=0.1))


def area(maps):
    return torch.linalg.det(maps[:, :, :2])


# Each limit: a value, and how to measure it in the maps.
LIMITS = {
    "degrees": (10, lambda maps: torch.rad2deg(torch.atan2(maps[:, 1, 0], maps[:, 0, 0]))),
    "shift": (0.08, lambda maps: maps[:, :, 2] / 2),
    "scale": (0.1, lambda maps: 1 / area(maps).sqrt() - 1),
    "shear": (8, lambda maps: torch.rad2deg(torch.atan(maps[:, 0, 1]))),
}


@pytest.mark.parametrize("name", LIMITS)
def test_maps_reach_their_limits_on_both_sides_but_not_beyond(name):
    limit, measure = LIMITS[name]
    maps = affines(**{name: limit})
    values = measure(maps) / limit
    assert 0.93 < values.max() <= 1.001
    assert -1.001 <= values.min() < -0.93
    if name != "scale":
        torch.testing.assert_close(area(maps), torch.ones(1000))
