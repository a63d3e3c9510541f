"""Draw digits and photograph them: `python -m experiments.synthetic_photos` makes the pictures of this folder.

Five of them are digits drawn by hand as strokes (strokes.json, in pixels of 280×280), and one is printed in a font.
Each is placed on something that people write on, and degraded as cameras do it: uneven light, perspective, noise, blur,
JPEG. The experiments build their photographs from the same functions. A scene is float [height, width, 3] from 0 to 1,
and ink is float [height, width] from 0 to 1; sizes are (width, height).
"""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from scipy import ndimage

from reader.samples import FOLDER

STROKES = {
    int(digit): strokes for digit, strokes in json.loads((Path(__file__).with_name("strokes.json")).read_text()).items()
}
SIDE = 280  # pixels of the square that the strokes were drawn in


# --- Ink -------------------------------------------------------------------------------------------------------------


def smooth(points, steps=24):
    """Return `points` with a curve through them (Catmull and Rom, 1974), float [n, 2]."""
    p = np.asarray([points[0], *points, points[-1]], dtype=float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curves = [
        b + (t * (c - a) + t**2 * (2 * a - 5 * b + 4 * c - d) + t**3 * (3 * b - a - 3 * c + d)) / 2
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate([*curves, p[-1:]])


def strokes_of(digit, generator, tremor=0.0):
    """Yield the strokes of `digit`, each float [n, 2] in pixels of 280×280; `tremor` is that of the hand."""
    for stroke in STROKES[digit]:
        points = smooth(stroke)
        yield points + np.cumsum(generator.normal(0, tremor, points.shape), axis=0)


def ink_strokes(strokes, size, pen, generator):
    """Return the ink of a pen `pen` pixels wide that follows `strokes`, each float [n, 2] in pixels."""
    canvas = Image.new("L", [4 * n for n in size])
    draw = ImageDraw.Draw(canvas)
    for stroke in strokes:
        for x, y in 4 * stroke:
            radius = 2 * pen * generator.uniform(0.85, 1.15)
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX), dtype=float) / 255


def draw_digit(digit, size, pen, square, generator, tremor=0.0):
    """Return the ink of `digit`, drawn into `square`, (left, top, side) in pixels, with a pen `pen` pixels wide."""
    left, top, side = square
    strokes = strokes_of(digit, generator, tremor)
    moved = (np.array([left, top]) + points * side / SIDE for points in strokes)
    return ink_strokes(moved, size, pen, generator)


def font(name, size):
    """Return the font `name` of those that matplotlib brings along, which are the same on every machine."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)


# --- Paper, light and camera -----------------------------------------------------------------------------------------


def blend(background, colour, ink):
    """Return the scene `background` with `colour` in proportion to `ink`."""
    return background * (1 - ink[..., None]) + np.asarray(colour) * ink[..., None]


def smooth_noise(generator, shape, width):
    """Return noise that varies over `width` pixels, float [H, W] from -0.1 to 0.1."""
    blurred = ndimage.gaussian_filter(generator.normal(0, 1, shape), width)
    return blurred / np.abs(blurred).max() * 0.1


def light(size, bright, dark, angle):
    """Return the light on each pixel, float [height, width, 1], which changes from `bright` to `dark` along `angle`."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in size))
    along = (x * np.cos(angle) + y * np.sin(angle) + 1.4) / 2.8
    return (bright + (dark - bright) * along)[..., None]


def take_photo(scene, generator, noise, blur, corners=None):
    """Return the PIL image that a cheap camera takes of `scene`; `corners` are those of PIL's QUAD transform."""
    image = Image.fromarray(np.uint8(255 * np.clip(scene, 0, 1)))
    if corners:
        image = image.transform(image.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    image = image.filter(ImageFilter.GaussianBlur(blur))
    values = np.asarray(image, dtype=float) + generator.normal(0, 255 * noise, (*image.size[::-1], 3))
    return Image.fromarray(np.uint8(np.clip(values, 0, 255)))


# --- The pictures in this folder -------------------------------------------------------------------------------------


def ballpoint_on_ruled_paper(generator):
    size = 480, 640
    paper = np.ones((640, 480, 3)) * [0.93, 0.92, 0.88]
    paper[20::42] = paper[21::42] = [0.76, 0.83, 0.90]
    scene = blend(paper, [0.10, 0.14, 0.45], draw_digit(5, size, 6, (90, 170, 260), generator, tremor=0.5))
    corners = [12, 20, 0, 640, 476, 622, 462, 6]
    return take_photo(scene * light(size, 1.0, 0.55, 0.7), generator, 0.03, 0.8, corners)


def chalk_on_a_board(generator):
    size = 520, 400
    cloth = smooth_noise(generator, (400, 520), 18)[..., None]
    board = np.ones((400, 520, 3)) * [0.13, 0.27, 0.21] + 0.5 * cloth
    ink = draw_digit(3, size, 13, (130, 40, 300), generator, tremor=0.4) * (generator.random((400, 520)) > 0.18)
    return take_photo(blend(board, [0.90, 0.90, 0.86], ink) * light(size, 1.0, 0.8, 2.4), generator, 0.02, 1.0)


def pencil_in_a_corner(generator):
    size = 700, 500
    paper = np.ones((500, 700, 3)) * 0.9
    scene = blend(paper, [0.45, 0.45, 0.47], draw_digit(2, size, 4, (420, 240, 170), generator, tremor=0.6))
    return take_photo(scene * light(size, 0.95, 0.6, 3.5), generator, 0.015, 0.8)


def finger_on_a_tablet(generator):
    ink = draw_digit(8, (280, 280), 22, (0, 0, 280), generator)
    return Image.fromarray(np.uint8(np.rint(255 * ink)))


def marker_on_transparency(generator):
    ink = draw_digit(7, (300, 300), 20, (20, 10, 270), generator, tremor=0.2)
    layers = [np.full(ink.shape, value) for value in (200, 30, 30)] + [255 * ink]
    return Image.fromarray(np.uint8(np.rint(np.stack(layers, axis=-1))))


def print_on_a_label(generator):
    label = Image.new("RGB", (220, 160), (250, 215, 60))
    style = {"fill": (20, 20, 20), "font": font("DejaVuSerif-Bold", 110), "anchor": "mm"}
    ImageDraw.Draw(label).text((110, 80), "4", **style)
    turned = label.rotate(6, Image.Resampling.BICUBIC, fillcolor=(250, 215, 60))
    return take_photo(np.asarray(turned) / 255, generator, 0.02, 1.2)


# What makes each picture; the position is its random seed.
MAKERS = {
    "ballpoint.jpg": ballpoint_on_ruled_paper,
    "chalk.jpg": chalk_on_a_board,
    "pencil.jpg": pencil_in_a_corner,
    "tablet.png": finger_on_a_tablet,
    "marker.png": marker_on_transparency,
    "label.jpg": print_on_a_label,
}


def main():
    for seed, (name, make) in enumerate(MAKERS.items()):
        make(np.random.default_rng(seed)).save(FOLDER / name, **({"quality": 80} if name.endswith("jpg") else {}))


if __name__ == "__main__":
    main()
