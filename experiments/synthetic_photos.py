"""Draw digits and numbers and photograph them, for the study of the reader.

A digit on a sheet is drawn with a pen along the strokes of strokes.json, which are in pixels of 280×280; a number is
composed of MNIST's images. Both are degraded as cameras do it: uneven light, shadows, perspective, blur, noise, JPEG. A
scene is float [height, width, 3] from 0 to 1, and ink is float [height, width] from 0 to 1; sizes are (width, height).
"""

import io
import itertools
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps
from scipy import ndimage

from reader.image_ops import bounding_box

FILE = Path(__file__).with_name("strokes.json")
STROKES = {int(digit): strokes for digit, strokes in json.loads(FILE.read_text()).items()}

# --- One digit on a sheet of paper -----------------------------------------------------------------------------------

SCALE = 5  # pixels per millimetre
PAPERS = {"white": (0.93, 0.93, 0.91), "brown": (0.66, 0.51, 0.36), "blackboard": (0.13, 0.22, 0.18)}
DESK = (51, 46, 43)

# The usual picture. Lengths on the sheet, which is A6, are in mm, blur in pixels, the rest are fractions.
USUAL = {
    "sheet": (148, 105),
    "height": 40,
    "pen": 0.7,
    "ink": (0.12, 0.14, 0.40),
    "paper": "white",
    "lines": None,  # their colour; horizontal ones, and vertical ones if "squares"
    "squares": False,
    "on_desk": False,  # a dark one
    "extra": None,  # what else is on the sheet
    "angle": 0,  # degrees
    "falloff": 0.1,  # of the light
    "shadow": None,  # (depth, width of its edge in pixels)
    "tilt": 0.0,
    "blur": 0.8,
    "noise": 0.015,
    "quality": 85,  # of the JPEG
}


def photograph_digit(digit, generator, **changes):
    """Return a photograph of `digit`, a PIL image that differs from `USUAL` in `changes`."""
    setting = USUAL | changes
    picture = as_picture(make_sheet(digit, setting, generator))
    if setting["on_desk"]:
        picture = picture.rotate(generator.uniform(-8, 8), Image.Resampling.BICUBIC, expand=True, fillcolor=DESK)
        picture = ImageOps.expand(picture, 100, DESK)
    size, angle = picture.size, generator.uniform(0, 2 * math.pi)
    scene = np.asarray(picture) / 255 * light(size, 1.0, 1 - setting["falloff"], angle)[..., None]
    if setting["shadow"]:
        scene = scene * shadow(size, *setting["shadow"], generator)[..., None]
    picture = as_picture(scene)
    if setting["tilt"]:
        x, y = (setting["tilt"] * n for n in size)
        corners = [x, y, 0, size[1], *size, size[0] - x, y]
        picture = picture.transform(size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    picture = picture.filter(ImageFilter.GaussianBlur(setting["blur"]))
    file = io.BytesIO()
    noisy = np.asarray(picture) / 255 + generator.normal(0, setting["noise"], scene.shape)
    as_picture(noisy).save(file, "jpeg", quality=setting["quality"])
    return Image.open(file)


def as_picture(scene):
    """Return `scene` as a PIL image."""
    return Image.fromarray(np.uint8(255 * np.clip(scene, 0, 1)))


def make_sheet(digit, setting, generator):
    """Return a scene of the sheet with the digit and whatever else is on it."""
    size, extra = tuple(SCALE * side for side in setting["sheet"]), setting["extra"]
    height = SCALE * setting["height"] / (2 if extra == "a word" else 1)
    room = np.maximum(np.array(size) - height - 12 * SCALE, 0)  # 6 mm of margin
    centre = np.array(size) / 2 + generator.uniform(-0.5, 0.5, 2) * room * (0.3 if extra or setting["tilt"] else 1)
    if extra == "half a digit":
        centre[1] = size[1] - generator.uniform(-0.1, 0.1) * height
    strokes = place(draw_strokes(digit, generator), height, setting["angle"], centre)
    if extra == "a scribble":
        strokes = [smooth(generator.uniform(centre - height / 2, centre + height / 2, (12, 2)))]
    if extra == "a box":
        corners = centre + 0.75 * height * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)])
        strokes += [np.linspace(*side, 400) for side in itertools.pairwise(corners)]
    for n in {"a second digit": [1], "a word": [-2, -1, 1, 2]}.get(extra, []):
        other = draw_strokes(int(generator.integers(10)), generator)
        strokes += place(other, height, 0, centre + np.array([n * height, 0]))
    scene = np.ones((size[1], size[0], 3)) * PAPERS[setting["paper"]]
    if setting["lines"]:
        scene[2 * SCALE :: 5 * SCALE] = setting["lines"]
    if setting["squares"]:
        scene[:, 2 * SCALE :: 5 * SCALE] = setting["lines"]
    if extra == "spiral holes":
        columns, rows = np.meshgrid(*map(np.arange, size))
        scene[(columns % (8 * SCALE) - 4 * SCALE) ** 2 + (rows - 5 * SCALE) ** 2 < (2 * SCALE) ** 2] = 0.13
    ink = ink_strokes(strokes, size, SCALE * setting["pen"], generator)[..., None]
    return scene * (1 - ink) + np.array(setting["ink"]) * ink


def smooth(points, steps=24):
    """Return `points` with a curve through them (Catmull and Rom, 1974), float [n, 2]."""
    p = np.asarray([points[0], *points, points[-1]], dtype=float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curves = [
        b + (t * (c - a) + t**2 * (2 * a - 5 * b + 4 * c - d) + t**3 * (3 * b - a - 3 * c + d)) / 2
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate([*curves, p[-1:]])


def draw_strokes(digit, generator):
    """Return the strokes of `digit` with a slant, width and tremor at random, a list of float [n, 2]."""
    matrix = np.array([[generator.uniform(0.8, 1.1), 0], [generator.normal(0, 0.12), 1]])
    curves = [smooth(stroke) @ matrix for stroke in STROKES[digit]]
    return [curve + np.cumsum(generator.normal(0, 0.4, curve.shape), axis=0) for curve in curves]


def place(strokes, height, degrees, centre):
    """Return `strokes`, made `height` pixels high and then rotated by `degrees`, around `centre`, (x, y)."""
    angle = math.radians(degrees)
    matrix = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    points = np.concatenate(strokes)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    return [(path - middle) * height / np.ptp(points[:, 1]) @ matrix + centre for path in strokes]


def ink_strokes(strokes, size, pen, generator):
    """Return the ink of a pen `pen` pixels wide that follows `strokes`, each float [n, 2] in pixels."""
    canvas = Image.new("L", [4 * n for n in size])
    draw = ImageDraw.Draw(canvas)
    for x, y in 4 * np.concatenate(strokes):
        radius = 2 * pen * generator.uniform(0.85, 1.15)
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX)) / 255


# --- Light -----------------------------------------------------------------------------------------------------------


def light(size, bright, dark, angle):
    """Return the light on each pixel, float [height, width], which changes from `bright` to `dark` along `angle`."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in size))
    along = (x * math.cos(angle) + y * math.sin(angle) + 1.4) / 2.8
    return bright + (dark - bright) * along


def shadow(size, depth, width, generator):
    """Return the light on each pixel, less by `depth` on one side of a random line with an edge `width` pixels wide."""
    angle, (x, y) = generator.uniform(0, 2 * math.pi), (side * generator.uniform(0.25, 0.75) for side in size)
    columns, rows = np.meshgrid(*map(np.arange, size))
    distance = (columns - x) * math.cos(angle) + (rows - y) * math.sin(angle)
    return 1 - depth * np.clip(distance / width + 0.5, 0, 1)


# --- Numbers of several digits ---------------------------------------------------------------------------------------

SPACINGS = {"apart": (0.15, 0.5), "close": (0.03, 0.12), "touching": (-0.04, -0.02)}  # gap as a fraction of the height
BACKGROUNDS = ("clean", "shadow", "noise", "board")


def make_numbers(split, length, spacing, background, n):
    """Yield (label, photograph) of `n` numbers of `length` digits of the `Split` `split`; the same on every call.

    The label is a string, and the photograph uint8 [H, W].
    """
    generator = np.random.default_rng([length, list(SPACINGS).index(spacing), BACKGROUNDS.index(background)])
    for _ in range(n):
        chosen = generator.integers(0, len(split.labels), length)
        ink = write_number(split.images[chosen, 0].numpy(), spacing, generator)
        label = "".join(str(digit) for digit in split.labels[chosen].tolist())
        yield label, photograph_number(ink, background, generator)


def write_number(images, spacing, generator):
    """Return the ink of `images`, uint8 [N, 28, 28], side by side: float32 [H, W] from 0 to 1.

    Digits differ in size and slant, and stand on an uneven line.
    """
    height, slant = generator.uniform(24, 56), generator.uniform(-0.25, 0.25)
    line = np.zeros((round(2.5 * height), round(2.5 * height * (len(images) + 1))), dtype=np.float32)
    for i, image in enumerate(images):
        digit = enlarge(image, height * generator.uniform(0.85, 1.15) / 20, slant + generator.normal(0, 0.04))
        top = round(1.8 * height + generator.normal(0, 0.06) * height) - len(digit)
        band = line[top : top + len(digit)]
        gap = round(generator.uniform(*SPACINGS[spacing]) * height)
        left = next_column(band, digit, gap, spacing == "touching") if i else 0
        band[:, left : left + digit.shape[1]] = np.maximum(band[:, left : left + digit.shape[1]], digit)
    return line[bounding_box(line > 0.1)]


def enlarge(image, scale, slant):
    """Return the ink of `image`, uint8 [28, 28], enlarged by `scale` and slanted: float32 [H, W], without margins."""
    side = round(28 * scale * 1.3)
    middle = side / 2
    matrix = (1 / scale, slant / scale, 14 - (middle + slant * middle) / scale, 0, 1 / scale, 14 - middle / scale)
    drawn = Image.fromarray(image).transform((side, side), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    ink = np.asarray(drawn, dtype=np.float32) / 255
    return ink[bounding_box(ink > 0.1)]


def next_column(band, digit, gap, touch):
    """Return the column of `band` at which `digit` starts if it is `gap` pixels from the digits already there.

    As in handwriting, the gap is that between the two nearest points. Unless they `touch`, digits hardly overlap
    horizontally.
    """
    written = band > 0.3
    columns = np.arange(band.shape[1])
    ends = ndimage.maximum_filter1d(np.where(written, columns, -9999).max(axis=1), 5)
    starts = ndimage.minimum_filter1d(np.where(digit > 0.3, columns[: digit.shape[1]], 9999).min(axis=1), 5)
    nearest = (ends - starts).max() + 1 + gap
    end = columns[written.any(axis=0)].max(initial=0)
    return max(0, nearest if touch else max(nearest, end - round(0.15 * len(digit))))


def photograph_number(ink, background, generator):
    """Return a photograph, uint8 [H, W], of `ink` on one of `BACKGROUNDS`."""
    margins = [[round(len(ink) * generator.uniform(0.25, 1.5)) for _ in range(2)] for _ in range(2)]
    ink = ndimage.gaussian_filter(np.pad(ink, margins), generator.uniform(0.3, 0.8))
    white, black = generator.uniform(0.8, 1), generator.uniform(0.1, 0.45)
    scene = white + (black - white) * ink
    if background == "board":
        scene = 1 - scene
    if background == "shadow":
        scene = scene * light(ink.shape[::-1], 1, generator.uniform(0.35, 0.6), generator.uniform(0, 2 * math.pi))
    if background == "noise":
        scene = scene + generator.normal(0, 0.05, ink.shape)
        scene[tuple(generator.integers(0, n, 6) for n in ink.shape)] = black  # specks
    return np.uint8(255 * np.clip(scene + generator.normal(0, 0.01, ink.shape), 0, 1))
