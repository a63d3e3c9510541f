"""One random affine map per image, applied to a whole batch on its device."""

import torch
import torch.nn.functional as F

from training.validation import is_number, require


def random_affines(n, degrees=5.0, shift=0.04, scale=0.05, shear=4.0, generator=None):
    """Return `n` random maps from output to input coordinates, float32 [n, 2, 3] on the CPU, for `warp`.

    Each map rotates by up to ±`degrees`, shifts by up to ±`shift` of the image's width along both axes, scales by up
    to ±`scale` (a fraction) and shears by up to ±`shear` degrees, all drawn uniformly and separately per image.
    Raises ValueError if a limit is negative, not finite, or would turn the image inside out (a scale of 1, a shear of
    90°).
    """
    for name, limit in {"degrees": degrees, "shift": shift, "scale": scale, "shear": shear}.items():
        require(is_number(limit, 0), name, limit, "a finite number, 0 or more")
    require(scale < 1, "scale", scale, "below 1")
    require(shear < 90, "shear", shear, "below 90")

    def uniform(limit):
        return (2 * torch.rand(n, generator=generator, dtype=torch.float32, device="cpu") - 1) * limit

    angle, slant = torch.deg2rad(uniform(degrees)), torch.deg2rad(uniform(shear)).tan()
    zoom = 1 + uniform(scale)
    cos, sin = angle.cos() / zoom, angle.sin() / zoom
    right, down = 2 * uniform(shift), 2 * uniform(shift)  # the image is 2 wide: it runs from -1 to 1
    return torch.stack([cos, cos * slant - sin, right, sin, sin * slant + cos, down], dim=1).view(n, 2, 3)


def identity_affines(n, generator=None):
    """Return `n` maps that change nothing, float32 [n, 2, 3], for training without augmentation."""
    return torch.eye(2, 3, dtype=torch.float32, device="cpu").repeat(n, 1, 1)


def warp(images, affines):
    """Apply the maps `affines` [N, 2, 3] to uint8 or float `images` [N, 1, 28, 28]; return float32 from 0 to 255.

    Pixels are interpolated bilinearly; everything outside the image counts as background, 0.
    """
    size = images.shape[-1]
    centres = (2 * torch.arange(size, device=images.device) + 1) / size - 1
    across = affines[:, None, :, 0] * centres[:, None] + affines[:, None, :, 2]  # [N, 28, 2]
    down = affines[:, None, :, 1] * centres[:, None]
    # A broadcast sum of the two instead of F.affine_grid's matrix product: a third of its time on the CPU.
    grid = down[:, :, None] + across[:, None]  # [N, 28, 28, 2]
    return F.grid_sample(images.float(), grid, padding_mode="zeros", align_corners=False)
