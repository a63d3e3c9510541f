"""Draw a digit on a sheet of paper and photograph it, for the study of the reader.

The digit is drawn with a pen along the strokes of strokes.json, which are in pixels of 280×280. Then the picture is
degraded as cameras do it: uneven light, shadows, perspective, blur, noise, JPEG. A scene is float [height, width, 3]
from 0 to 1, and ink is float [height, width] from 0 to 1; sizes are (width, height).
"""

import io
import itertools
import json
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageOps

STROKES = json.loads(Path(__file__).with_name("strokes.json").read_text())  # digit, as text → its strokes
SCALE = 5  # pixels per millimetre
DESK = (51, 46, 43)

# The usual picture. Lengths on the sheet, which is A6, are in mm, blur in pixels, the rest are fractions.
USUAL = {
    "sheet": (148, 105),
    "height": 40,
    "pen": 0.7,
    "ink": (0.12, 0.14, 0.40),
    "paper": (0.93, 0.93, 0.91),
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
    size = picture.size
    scene = np.asarray(picture) / 255 * light(size, setting["falloff"], generator)[..., None]
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
        other = draw_strokes(generator.integers(10), generator)
        strokes += place(other, height, 0, centre + np.array([n * height, 0]))
    scene = np.ones((size[1], size[0], 3)) * setting["paper"]
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
    curves = [smooth(stroke) @ matrix for stroke in STROKES[str(digit)]]
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


def light(size, falloff, generator):
    """Return the light on each pixel, float [height, width], which falls off from 1 in a random direction."""
    angle, (x, y) = generator.uniform(0, 2 * math.pi), np.meshgrid(*(np.linspace(-1, 1, n) for n in size))
    return 1 - falloff * (x * math.cos(angle) + y * math.sin(angle) + 1.4) / 2.8


def shadow(size, depth, width, generator):
    """Return the light on each pixel, less by `depth` on one side of a random line with an edge `width` pixels wide."""
    angle, (x, y) = generator.uniform(0, 2 * math.pi), (side * generator.uniform(0.25, 0.75) for side in size)
    columns, rows = np.meshgrid(*map(np.arange, size))
    distance = (columns - x) * math.cos(angle) + (rows - y) * math.sin(angle)
    return 1 - depth * np.clip(distance / width + 0.5, 0, 1)
