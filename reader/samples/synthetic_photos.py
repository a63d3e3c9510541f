"""Make the pictures in this folder anew: `python -m reader.samples.synthetic_photos`

Five are digits drawn by hand as strokes (strokes.json, in pixels of 280×280), and one is printed by a font. Each is put
onto something that people really write on, and damaged as cameras and screens do: uneven light, perspective, grain,
blur, JPEG, transparency.
"""

import json
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).resolve().parent
STROKES = {int(digit): strokes for digit, strokes in json.loads((HERE / "strokes.json").read_text()).items()}
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def smooth(points, steps=24):
    """Return `points` with a curve through them (Catmull and Rom, 1974), float [n, 2]."""
    p = np.asarray([points[0], *points, points[-1]], dtype=float)
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    curves = [
        b + (t * (c - a) + t**2 * (2 * a - 5 * b + 4 * c - d) + t**3 * (3 * b - a - 3 * c + d)) / 2
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate([*curves, p[-1:]])


def draw(digit, size, pen, where, generator, tremor=0.0):
    """Return ink from 0 to 1, float [height, width]: `digit` drawn with a `pen` pixels wide.

    `size` is (width, height), and `where` (left, top, side) is the square in it that the digit's strokes go into.
    """
    left, top, side = where
    return brush(
        (np.array([left, top]) + points * side / 280 for points in paths(digit, generator, tremor)),
        size,
        pen,
        generator,
    )


def paths(digit, generator, tremor=0.0):
    """Yield the strokes of `digit` one after the other, each float [n, 2] in pixels of 280×280."""
    for stroke in STROKES[digit]:
        points = smooth(stroke)
        yield points + np.cumsum(generator.normal(0, tremor, points.shape), axis=0)


def brush(paths, size, pen, generator):
    """Return ink from 0 to 1, float [height, width]: a `pen` pixels wide went along `paths`, each float [n, 2]."""
    canvas = Image.new("L", [4 * n for n in size])
    disc = ImageDraw.Draw(canvas)
    for path in paths:
        for x, y in 4 * path:
            radius = 2 * pen * generator.uniform(0.85, 1.15)
            disc.ellipse([x - radius, y - radius, x + radius, y + radius], fill=255)
    return np.asarray(canvas.resize(size, Image.Resampling.BOX), dtype=float) / 255


def light(size, bright, dark, angle):
    """Return how much light falls on each pixel, float [height, width, 1]: from `bright` to `dark` along `angle`."""
    x, y = np.meshgrid(*(np.linspace(-1, 1, n) for n in size))
    along = (x * np.cos(angle) + y * np.sin(angle) + 1.4) / 2.8
    return (bright + (dark - bright) * along)[..., None]


def photograph(scene, generator, grain, blur, corners=None):
    """Return the PIL image that a cheap camera takes of `scene`, float [height, width, 3] from 0 to 1."""
    picture = Image.fromarray(np.uint8(255 * np.clip(scene, 0, 1)))
    if corners:
        picture = picture.transform(picture.size, Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)
    picture = picture.filter(ImageFilter.GaussianBlur(blur))
    values = np.asarray(picture, dtype=float) + generator.normal(0, 255 * grain, (*picture.size[::-1], 3))
    return Image.fromarray(np.uint8(np.clip(values, 0, 255)))


def paint(background, colour, ink):
    """Return `background` [height, width, 3] with `colour` where there is `ink` [height, width]."""
    return background * (1 - ink[..., None]) + np.asarray(colour) * ink[..., None]


def ballpoint_on_ruled_paper(generator):
    size = 480, 640
    paper = np.ones((640, 480, 3)) * [0.93, 0.92, 0.88]
    paper[20::42] = paper[21::42] = [0.76, 0.83, 0.90]
    scene = paint(paper, [0.10, 0.14, 0.45], draw(5, size, 6, (90, 170, 260), generator, tremor=0.5))
    corners = [12, 20, 0, 640, 476, 622, 462, 6]
    return photograph(scene * light(size, 1.0, 0.55, 0.7), generator, 0.03, 0.8, corners)


def chalk_on_a_board(generator):
    size = 520, 400
    cloth = ndimage_blur(generator.normal(0, 1, (400, 520)), 18)[..., None]
    board = np.ones((400, 520, 3)) * [0.13, 0.27, 0.21] + 0.5 * cloth
    ink = draw(3, size, 13, (130, 40, 300), generator, tremor=0.4) * (generator.random((400, 520)) > 0.18)
    return photograph(paint(board, [0.90, 0.90, 0.86], ink) * light(size, 1.0, 0.8, 2.4), generator, 0.02, 1.0)


def pencil_in_a_corner(generator):
    size = 700, 500
    paper = np.ones((500, 700, 3)) * 0.9
    scene = paint(paper, [0.45, 0.45, 0.47], draw(2, size, 4, (420, 240, 170), generator, tremor=0.6))
    return photograph(scene * light(size, 0.95, 0.6, 3.5), generator, 0.015, 0.8)


def finger_on_a_tablet(generator):
    ink = draw(8, (280, 280), 22, (0, 0, 280), generator)
    return Image.fromarray(np.uint8(np.rint(255 * ink)))


def marker_on_nothing(generator):
    ink = draw(7, (300, 300), 20, (20, 10, 270), generator, tremor=0.2)
    layers = [np.full(ink.shape, value) for value in (200, 30, 30)] + [255 * ink]
    return Image.fromarray(np.uint8(np.rint(np.stack(layers, axis=-1))))


def print_on_a_label(generator):
    label = Image.new("RGB", (220, 160), (250, 215, 60))
    font = ImageFont.truetype(FONTS / "DejaVuSerif-Bold.ttf", 110)
    ImageDraw.Draw(label).text((110, 80), "4", fill=(20, 20, 20), font=font, anchor="mm")
    turned = label.rotate(6, Image.Resampling.BICUBIC, fillcolor=(250, 215, 60))
    return photograph(np.asarray(turned) / 255, generator, 0.02, 1.2)


def ndimage_blur(values, width):
    from scipy import ndimage

    blurred = ndimage.gaussian_filter(values, width)
    return blurred / np.abs(blurred).max() * 0.1


# The file, and what is in it.
PICTURES = {
    "ballpoint.jpg": (ballpoint_on_ruled_paper, 5),
    "chalk.jpg": (chalk_on_a_board, 3),
    "pencil.jpg": (pencil_in_a_corner, 2),
    "tablet.png": (finger_on_a_tablet, 8),
    "marker.png": (marker_on_nothing, 7),
    "label.jpg": (print_on_a_label, 4),
}


def main():
    for seed, (name, (make, _)) in enumerate(PICTURES.items()):
        make(np.random.default_rng(seed)).save(HERE / name, **({"quality": 80} if name.endswith("jpg") else {}))


if __name__ == "__main__":
    main()
