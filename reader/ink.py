"""Extract the ink from a picture's brightness, whatever the colours, the light and the paper."""

import numpy as np
from scipy import ndimage

from reader.cleanup import remove_clutter
from reader.image_ops import border_values, corner_values, otsu_threshold, resize, shrink
from reader.paper import crop_to_sheet

MAX_SIDE = 320  # pixels: larger pictures are shrunk first; strokes are still wider than a pixel
# Least difference in brightness between ink and paper, where black is 0 and white 1; and if there is no noise at all
MIN_CONTRAST, MIN_CLEAN_CONTRAST = 0.08, 0.02


def extract_ink(brightness):
    """Return the amount of ink on each pixel, float [h, w] from 0 to 1, without shadows, noise and clutter.

    `brightness` is float32 [H, W] from 0 to 1. Raises ValueError if nothing stands out from the paper.
    """
    return extract(brightness)[0]


def extract(brightness, max_side=MAX_SIDE, is_number=False):
    """Return the ink of a picture, shrunk until its longer side has at most `max_side` pixels, and where it is from.

    That is the part of the picture, (left, top, width, height) in pixels. Also returns whether ink as high as digits
    was removed together with the lines that it touches.
    """
    brightness, (left, top) = crop_to_sheet(brightness)
    area = left, top, *brightness.shape[::-1]
    brightness = shrink(brightness, max_side)
    darkness = 1 - brightness if is_dark_on_light(brightness) else brightness
    # In a large picture, the texture of the paper is visible: its bright specks are closed to estimate the background.
    is_textured = is_number and max(darkness.shape) > MAX_SIDE
    contrast = darkness - estimate_background(ndimage.grey_closing(darkness, (3, 3)) if is_textured else darkness)
    if contrast.max() < MIN_CLEAN_CONTRAST:
        raise nothing_found()
    threshold = ink_threshold(contrast)
    paper = contrast[contrast <= threshold]
    noise = 1.4826 * np.median(np.abs(paper - np.median(paper)))  # a robust standard deviation
    no_ink = np.median(paper) + 3 * noise
    full_ink = np.median(contrast[contrast > threshold])
    if full_ink - no_ink < (MIN_CONTRAST if noise > 0.001 else MIN_CLEAN_CONTRAST):
        raise nothing_found()
    ink, has_lost_digits = remove_clutter(np.clip((contrast - no_ink) / (full_ink - no_ink), 0, 1), is_number)
    if not ink.any():
        raise nothing_found()
    return ink, area, has_lost_digits


def nothing_found():
    return ValueError("no strokes stand out from the paper; take a sharper or closer picture with more light")


def is_dark_on_light(brightness):
    """Return whether the ink is darker than the paper, judged against a median over half the picture.

    That median is the paper, in shadow or not, as long as ink covers less than half of it.
    """
    small = shrink(brightness, 48)
    paper = ndimage.median_filter(small, size=[side // 2 | 1 for side in small.shape], mode="nearest")
    difference = brightness - resize(paper, brightness.shape)
    return (np.maximum(difference, 0) ** 2).sum() <= (np.minimum(difference, 0) ** 2).sum()


def estimate_background(darkness):
    """Estimate how dark the paper is on each pixel of `darkness` [H, W], shadows included.

    A grey opening with a window half the picture wide removes the ink. A shadow or a desk at the border may be
    narrower than the window, since only a part of it is in the picture. So a second opening continues the border
    outwards; its result is used in dark regions that contain two corners, or one corner and 30% of the border.
    """
    window = [min(max(3, max(darkness.shape) // 2), side) for side in darkness.shape]
    inside = ndimage.grey_opening(darkness, window, mode="nearest")
    if np.ptp(border_values(darkness)) < MIN_CONTRAST:
        return inside
    continued = np.pad(darkness, [(side, side) for side in window], mode="edge")
    continued = ndimage.grey_opening(continued, window)[window[0] : -window[0], window[1] : -window[1]]
    regions, _ = ndimage.label(continued > continued.min() + MIN_CONTRAST / 2)
    border, corners = border_values(regions), corner_values(regions).tolist()

    def is_background(region):
        return corners.count(region) >= 2 or (border == region).mean() > 0.3

    background = [region for region in set(corners) - {0} if is_background(region)]
    return np.where(np.isin(regions, background), continued, inside)


def ink_threshold(contrast):
    """Return the threshold above which `contrast` is ink and not what is left of a shadow.

    If a shadow is much larger than the ink, Otsu's threshold separates paper from shadow. What lies above it is then
    mostly far lighter than the darkest ink, and is split again.
    """
    threshold, darkest = otsu_threshold(contrast), np.quantile(contrast, 0.9999)
    for _ in range(3):
        above = contrast[contrast > threshold]
        if np.median(above) > 0.35 * darkest:
            break
        threshold = otsu_threshold(above)
    return threshold
