"""Which photographs of a digit are read, which refused, which doubted? `make pictures`

Every picture is a sheet of paper with one digit, photographed; one thing at a time is made harder. Half of the digits
are drawn anew from deploy/pictures/strokes.json, slanted and stretched at random; half are MNIST's test images, thinned
to a line and drawn with the same pen. All of it is fixed by seeds. How often ordinary digits are doubted comes after
it. A row a factor and level goes to experiments/results/photo_robustness.csv.
"""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage

import utils
from experiments import other_digits as elsewhere
from experiments import timing as bench
from model import load_net
from reader import ROOT
from reader.digit import find_ink, read_picture
from reader.samples import synthetic_photos as make
from reader.sanity_checks import doubts_of, probabilities

CSV = Path(__file__).resolve().parent / "results" / "photo_robustness.csv"
SCALE = 5  # pixels to the millimetre
EACH = 1  # pictures of each digit and kind, at each level
MARGIN = 6  # mm between the digit and the edge of the sheet

# How the usual picture is: lengths in mm on a sheet of A6, shares of the light, pixels.
USUAL = {
    "sheet": (148, 105),
    "height": 40,
    "pen": 0.7,
    "ink": (0.12, 0.14, 0.40),
    "paper": "plain",
    "around": "nothing",
    "beside": "nothing",
    "turn": 0,
    "falloff": 0.1,
    "shadow": None,
    "tilt": 0.0,
    "blur": 0.8,
    "grain": 0.015,
    "quality": 85,
}

# What is changed, one line a factor: the names of its levels, and what each changes of the usual.
FACTORS = {
    "nothing": {"the usual picture": {}},
    "pen": {f"{pen} mm": {"pen": pen} for pen in (0.3, 0.5, 1.5, 3, 6)},
    "height of the digit": {f"{height} mm": {"height": height} for height in (5, 10, 20, 60, 90)},
    "sheet": {
        "A5, digit of 20 mm, light −20 %": {"sheet": (210, 148), "height": 20, "falloff": 0.2},
        "A4, digit of 40 mm, light −20 %": {"sheet": (297, 210), "falloff": 0.2},
        "A4, digit of 10 mm": {"sheet": (297, 210), "height": 10},
    },
    "ink": {
        "black": {"ink": (0.1, 0.1, 0.1)},
        "red": {"ink": (0.80, 0.15, 0.15)},
        "pencil": {"ink": (0.45, 0.45, 0.47)},
        "faint pencil": {"ink": (0.68, 0.68, 0.70)},
        "yellow marker": {"ink": (0.95, 0.90, 0.25), "pen": 3},
    },
    "paper": {
        name: {"paper": name} for name in ("ruled", "squared", "dark squares", "dotted", "yellow", "brown", "creased")
    }
    | {"blackboard, chalk": {"paper": "blackboard", "ink": (0.88, 0.88, 0.85), "pen": 1.5}},
    "light falls off by": {f"{falloff:.0%}": {"falloff": falloff} for falloff in (0, 0.2, 0.4, 0.6)},
    "shadow": {
        f"{edge} edge, {depth:.0%}": {"shadow": (depth, width)}
        for edge, width in (("soft", 60), ("hard", 2))
        for depth in (0.2, 0.4, 0.6)
    },
    "turned by": {f"{turn}°": {"turn": turn} for turn in (-30, -15, 15, 30)},
    "tilt of the camera": {f"{tilt:.0%} narrower": {"tilt": tilt / 2} for tilt in (0.15, 0.3)},
    "blur": {f"{blur} pixels": {"blur": blur} for blur in (2, 4, 8)},
    "grain": {f"{grain:.0%}": {"grain": grain} for grain in (0.03, 0.06, 0.12)},
    "JPEG quality": {str(quality): {"quality": quality} for quality in (50, 20, 8)},
    "around the sheet": {
        name: {"around": name} for name in ("dark desk", "wooden desk", "bright desk", "dark desk on one side")
    },
    "on the sheet": {
        name: {"beside": name} for name in ("a box", "a circle", "spiral holes", "two holes", "margin line", "crumbs")
    },
    "no single digit": {
        name: {"beside": name} for name in ("a second digit", "two more digits", "a word", "a scribble", "half a digit")
    },
}
NO_DIGIT = {"a second digit", "two more digits", "a word", "a scribble", "half a digit"}

# --- The digits ------------------------------------------------------------------------------------------------------


def drawn(digit, generator):
    """Return the strokes of a digit drawn by hand, slanted and stretched at random, a list of float [n, 2]."""
    slant, width = generator.normal(0, 0.12), generator.uniform(0.8, 1.1)
    change = np.array([[width, 0], [slant, 1]])
    return [points @ change for points in make.paths(digit, generator, tremor=0.4)]


def traced(image):
    """Return the line in the middle of the strokes of a MNIST image, uint8 [28, 28], as float [n, 2] in a list."""
    large = ndimage.gaussian_filter(ndimage.zoom(image / 255.0, 4, order=1), 2) > 0.4
    places = np.argwhere(thin(np.pad(large, 1)))[:, ::-1].astype(float)
    apart = np.abs(places[:, None] - places[None]).max(axis=2)
    first, second = np.nonzero(np.triu(apart == 1))
    near = apart <= 3
    places = near @ places / near.sum(axis=1, keepdims=True)  # without the steps of the pixels
    return [places[first] * (1 - t) + places[second] * t for t in (0, 0.25, 0.5, 0.75, 1)]


def thin(shape):
    """Return the bool [H, W] `shape` thinned to lines one pixel wide (thinning by the masks of Golay's L)."""
    edge, corner = np.array([[0, 0, 0], [2, 1, 2], [1, 1, 1]]), np.array([[2, 0, 0], [1, 1, 0], [2, 1, 2]])
    masks = [np.rot90(mask, turns) for turns in range(4) for mask in (edge, corner)]
    while True:
        before = shape
        for mask in masks:
            shape = shape & ~ndimage.binary_hit_or_miss(shape, mask == 1, mask == 0)
        if (shape == before).all():
            return shape


# --- The sheet -------------------------------------------------------------------------------------------------------


def place(strokes, height, turn, centre):
    """Return `strokes` turned by `turn` degrees, `height` pixels high, around `centre` (x, y)."""
    angle = np.deg2rad(turn)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = np.concatenate(strokes)
    scale = height / np.ptp(points[:, 1])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    return [(path - middle) * scale @ matrix + centre for path in strokes]


def dense(corners, n=400):
    """Return `n` points along the lines between `corners`, float [n, 2]."""
    corners = np.asarray(corners, dtype=float)
    along = np.linspace(0, len(corners) - 1, n)
    return np.stack([np.interp(along, np.arange(len(corners)), corners[:, axis]) for axis in (0, 1)], axis=1)


def paper_of(kind, size, generator):
    """Return an empty sheet, float [height, width, 3]. Lines are 5 mm apart."""
    width, height = size
    colours = {"yellow": (0.98, 0.88, 0.45), "brown": (0.66, 0.51, 0.36), "blackboard": (0.13, 0.22, 0.18)}
    sheet = np.ones((height, width, 3)) * colours.get(kind, (0.93, 0.93, 0.91))
    step, line = 5 * SCALE, {"dark squares": (0.45, 0.55, 0.72)}.get(kind, (0.72, 0.80, 0.90))
    if kind in {"ruled", "squared", "dark squares"}:
        sheet[step // 2 :: step] = line
    if kind in {"squared", "dark squares"}:
        sheet[:, step // 2 :: step] = line
    if kind == "dotted":
        sheet[step // 2 :: step, step // 2 :: step] = sheet[step // 2 + 1 :: step, step // 2 :: step] = 0.5
    if kind == "blackboard":
        sheet += 0.4 * make.ndimage_blur(generator.normal(0, 1, (height, width)), 18)[..., None]
    if kind == "creased":
        for _ in range(3):
            sheet *= 1 - 0.1 * half_plane(size, generator, 12)[..., None]
    return sheet


def half_plane(size, generator, width):
    """Return 1 on one side of a line through the middle part of a picture and 0 on the other, `width` pixels soft."""
    angle, (x, y) = generator.uniform(0, 2 * np.pi), (side * generator.uniform(0.25, 0.75) for side in size)
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    far = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    return np.clip(far / width + 0.5, 0, 1)


def beside(kind, size, box, pen, generator):
    """Return what else is drawn, a list of paths, where the digit fills `box`, (left, top, right, bottom)."""
    left, top, right, bottom = box
    height, width = bottom - top, size[0]
    gap = 0.25 * height
    outer = [(left - gap, top - gap), (right + gap, top - gap), (right + gap, bottom + gap), (left - gap, bottom + gap)]
    if kind == "a box":
        return [dense([*outer, outer[0]]) + generator.normal(0, 0.2, (400, 2))]
    if kind == "a circle":
        turn = np.linspace(0, 2 * np.pi, 400)
        middle, radii = np.array([left + right, top + bottom]) / 2, (0.5 * (right - left) + gap, 0.5 * height + gap)
        return [middle + np.stack([radii[0] * 1.2 * np.cos(turn), radii[1] * np.sin(turn)], axis=1)]
    if kind in {"a second digit", "two more digits", "a word"}:
        centre = (top + bottom) / 2
        places = [right + 0.6 * height, left - 0.6 * height][: 1 if kind == "a second digit" else 2]
        if kind == "a word":
            places = [left - 1.2 * height, left - 0.6 * height, right + 0.6 * height, right + 1.2 * height]
        return [
            path
            for x in places
            for path in place(drawn(int(generator.integers(10)), generator), height, 0, (x, centre))
        ]
    if kind == "margin line":
        return [dense([(0.12 * width, 0), (0.12 * width, size[1])])]
    if kind == "a scribble":
        return [make.smooth(generator.uniform((left, top), (right, bottom), (12, 2)))]
    return []


def spots(kind, size, generator):
    """Return dark spots on the sheet, a list of (x, y, radius) in pixels: holes or crumbs."""
    width, height = size
    if kind == "spiral holes":
        return [(x, 5 * SCALE, 2 * SCALE) for x in np.arange(5 * SCALE, width, 8 * SCALE)]
    if kind == "two holes":
        return [(12 * SCALE, height / 2 + side * 40 * SCALE * height / 525, 3 * SCALE) for side in (-1, 1)]
    if kind == "crumbs":
        return [(*generator.uniform((0, 0), size), generator.uniform(0.2, 0.6) * SCALE) for _ in range(15)]
    return []


def sheet_of(strokes, setting, generator):
    """Return the sheet with the digit on it, float [height, width, 3]."""
    size = tuple(SCALE * side for side in setting["sheet"])
    height, pen, kind = SCALE * setting["height"], SCALE * setting["pen"], setting["beside"]
    if kind in {"two more digits", "a word"}:
        height = 0.5 * height
    shape = np.ptp(np.concatenate(place(strokes, height, setting["turn"], (0, 0))), axis=0)
    room = np.maximum(np.array(size) - shape - 2 * MARGIN * SCALE, 0)
    if kind != "nothing" or setting["tilt"]:
        room = room * 0.3
    centre = np.array(size) / 2 + generator.uniform(-0.5, 0.5, 2) * room
    if kind == "half a digit":
        centre[1] = size[1] - generator.uniform(-0.1, 0.1) * height
    paths = [] if kind == "a scribble" else place(strokes, height, setting["turn"], centre)
    paths += beside(kind, size, (*(centre - shape / 2), *(centre + shape / 2)), pen, generator)
    scene = make.paint(
        paper_of(setting["paper"], size, generator), setting["ink"], make.brush(paths, size, pen, generator)
    )
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    for x, y, radius in spots(kind, size, generator):
        scene[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = (0.16, 0.13, 0.11)
    return scene


def lay(sheet, kind, generator):
    """Return `sheet` as it lies on a desk, float [height, width, 3]."""
    if kind == "nothing":
        return sheet
    height, width = sheet.shape[:2]
    colour = {"wooden desk": (0.58, 0.42, 0.28), "bright desk": (0.74, 0.73, 0.70)}.get(kind, (0.20, 0.18, 0.17))
    # The grain of wood, along the desk.
    wood = make.ndimage_blur(generator.normal(0, 1, (height * 3 // 2, width * 3 // 2)), (3, 60))[..., None]
    desk = np.clip(np.array(colour) * (1 + 2 * wood), 0, 1)
    if kind == "dark desk on one side":
        return np.concatenate([desk[:height, : width // 6], sheet], axis=1)
    turned = [
        ndimage.rotate(part, angle, reshape=True, order=1)
        for angle in [generator.uniform(-8, 8)]
        for part in (sheet, np.ones((height, width, 1)))
    ]
    rows, columns = (min(a, b) for a, b in zip(turned[0].shape[:2], desk.shape[:2], strict=True))
    top, left = ((b - a) // 2 for a, b in zip((rows, columns), desk.shape[:2], strict=True))
    there = desk[top : top + rows, left : left + columns]
    there += (turned[0][:rows, :columns] - there) * turned[1][:rows, :columns]
    return desk


# --- The picture -----------------------------------------------------------------------------------------------------


def photograph(strokes, setting, generator):
    """Return the PIL image of `strokes` on a sheet, as `setting`, which is `USUAL` but for something, says."""
    scene = lay(sheet_of(strokes, setting, generator), setting["around"], generator)
    size = scene.shape[1], scene.shape[0]
    scene = scene * make.light(size, 1.0, 1 - setting["falloff"], generator.uniform(0, 2 * np.pi))
    if setting["shadow"]:
        depth, width = setting["shadow"]
        scene = scene * (1 - depth * half_plane(size, generator, width)[..., None])
    t = setting["tilt"]
    corners = [t * size[0], t * size[1], 0, size[1], size[0], size[1], (1 - t) * size[0], t * size[1]]
    return make.photograph(scene, generator, setting["grain"], setting["blur"], corners if t else None)


def compressed(picture, quality):
    """Return `picture` as it comes back from a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "jpeg", quality=quality)
    return Image.open(file)


def pictures(changes, test, each=EACH):
    """Yield the pictures of one level with their digits: `each` times ten drawn ones and as many of MNIST's."""
    setting = USUAL | changes
    for seed in range(each):
        for digit in range(10):
            for kind in range(2):
                generator = np.random.default_rng([seed, digit, kind])
                image = test.images[torch.where(test.labels == digit)[0][seed], 0].numpy()
                strokes = traced(image) if kind else drawn(digit, generator)
                picture = compressed(photograph(strokes, setting, generator), setting["quality"])
                yield picture, None if setting["beside"] in NO_DIGIT else digit


# --- The table -------------------------------------------------------------------------------------------------------


def count(net, pairs):
    """Return how many of `pairs`, pictures and their digits (None where it is none), are read how, a dictionary."""
    counts = dict.fromkeys(("n", "right", "refused", "doubted", "wrong_without_a_doubt"), 0)
    for picture, digit in pairs:
        counts["n"] += 1
        try:
            ink = find_ink(read_picture(picture))
        except ValueError:
            counts["refused"] += 1
            continue
        right, doubted = int(probabilities(net, [ink]).argmax()) == digit, bool(doubts_of(net, ink))
        counts["right"] += right
        counts["doubted"] += doubted
        counts["wrong_without_a_doubt"] += not right and not doubted
    return counts


def ordinary(test):
    """Return the pictures that are to be doubted seldom, with their digits: a dictionary of lists by name."""
    handwritten = [(ImageOps.expand(image, 8), digit) for image, digit in elsewhere.handwritten()]
    return {
        "MNIST's test images, every fifth": list(zip(test.images[::5], test.labels[::5].tolist(), strict=True)),
        "scikit-learn's digits, with a margin": handwritten,
        f"printed, {len(elsewhere.FONTS)} fonts": elsewhere.printed(),
        "the pictures of this repository": elsewhere.carried(),
    }


def table(rows):
    """Return `rows` of the CSV as lines of a table in Markdown: a factor each, or a level where the levels differ."""
    lines = []
    for factor in dict.fromkeys(row["factor"] for row in rows):
        levels = [row for row in rows if row["factor"] == factor]
        for part in [[level] for level in levels] if factor in {"ordinary", "no single digit"} else [levels]:
            n, right, *others = (sum(int(row[key]) for row in part) for key in list(part[0])[2:])
            name = part[0]["level"] if len(part) == 1 else f"{factor}: {' · '.join(row['level'] for row in part)}"
            worst = min(part, key=lambda row: int(row["right"]))
            if len(part) > 1 and int(worst["right"]) < int(worst["n"]):
                name += f" (fewest right: {worst['level']}, {worst['right']} of {worst['n']})"
            right = "–" if factor == "no single digit" else f"{right:,}"
            lines.append(f"| {' | '.join((name, f'{n:,}', right, *map(str, others)))} |")
    return lines


def main():
    torch.set_num_threads(1)
    net, (_, test) = load_net(), utils.load_mnist(ROOT / "data")
    found = []
    for factor, levels in FACTORS.items():
        for level, changes in levels.items():
            found.append({"factor": factor, "level": level} | count(net, pictures(changes, test)))
            print(*found[-1].values(), sep=", ", flush=True)
    found += [{"factor": "ordinary", "level": name} | count(net, pairs) for name, pairs in ordinary(test).items()]
    bench.write_rows(CSV, found)
    print(*table(found), sep="\n")


if __name__ == "__main__":
    main()
