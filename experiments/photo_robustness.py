"""Which photographs of a digit are read correctly, which are refused, and which get a warning?

`make exp-photo_robustness`

Every picture is a photograph of a sheet of paper with one digit. One condition at a time is made harder. Half of the
digits are drawn from reader/samples/strokes.json, slanted and stretched at random; the others are MNIST's test images,
thinned to a line and drawn with the same pen. All of it is seeded. Ordinary digits follow, to see how often they get a
warning. One row per condition and level goes to experiments/results/photo_robustness.csv.
"""

import io

import numpy as np
import torch
from PIL import Image, ImageOps
from scipy import ndimage

import utils
from experiments import RESULTS, ROOT, other_digits
from experiments.synthetic_photos import blend, ink_strokes, light, smooth, smooth_noise, strokes_of, take_photo
from experiments.timing import read, write_rows
from model import load_net
from reader.classify import classify
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.sanity_checks import find_warnings

CSV = RESULTS / "photo_robustness.csv"
SCALE = 5  # pixels per millimetre
REPETITIONS = 1  # pictures of each digit, drawn and from MNIST, at each level
MARGIN = 6  # mm between the digit and the edge of the sheet

# The usual picture. Lengths on the sheet, which is A6, are in mm, blur in pixels, the rest are fractions.
USUAL = {
    "sheet": (148, 105),
    "height": 40,
    "pen": 0.7,
    "ink": (0.12, 0.14, 0.40),
    "paper": "plain",
    "desk": "none",
    "extra": "none",  # what else is on the sheet
    "angle": 0,  # degrees
    "falloff": 0.1,
    "shadow": None,  # (depth, width of its edge in pixels)
    "tilt": 0.0,
    "blur": 0.8,
    "noise": 0.015,
    "quality": 85,
}

# Condition → level → what differs from the usual picture.
CONDITIONS = {
    "usual": {"the usual picture": {}},
    "pen": {f"{pen} mm": {"pen": pen} for pen in (0.3, 0.5, 1.5, 3, 6)},
    "height of the digit": {f"{height} mm": {"height": height} for height in (5, 10, 20, 60, 90)},
    "sheet": {
        "A5, digit of 20 mm, light −20%": {"sheet": (210, 148), "height": 20, "falloff": 0.2},
        "A4, digit of 40 mm, light −20%": {"sheet": (297, 210), "falloff": 0.2},
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
    "light": {f"−{falloff:.0%}": {"falloff": falloff} for falloff in (0, 0.2, 0.4, 0.6)},
    "shadow": {
        f"{edge} edge, {depth:.0%}": {"shadow": (depth, width)}
        for edge, width in (("soft", 60), ("hard", 2))
        for depth in (0.2, 0.4, 0.6)
    },
    "rotation": {f"{angle}°": {"angle": angle} for angle in (-30, -15, 15, 30)},
    "camera tilt": {f"{tilt:.0%} narrower": {"tilt": tilt / 2} for tilt in (0.15, 0.3)},
    "blur": {f"{blur} pixels": {"blur": blur} for blur in (2, 4, 8)},
    "noise": {f"{noise:.0%}": {"noise": noise} for noise in (0.03, 0.06, 0.12)},
    "JPEG quality": {str(quality): {"quality": quality} for quality in (50, 20, 8)},
    "around the sheet": {
        name: {"desk": name} for name in ("dark desk", "wooden desk", "bright desk", "dark desk on one side")
    },
    "on the sheet": {
        name: {"extra": name} for name in ("a box", "a circle", "spiral holes", "two holes", "margin line", "crumbs")
    },
    "no single digit": {
        name: {"extra": name} for name in ("a second digit", "two more digits", "a word", "a scribble", "half a digit")
    },
}
NOT_ONE_DIGIT = {"a second digit", "two more digits", "a word", "a scribble", "half a digit"}

# --- Digits ----------------------------------------------------------------------------------------------------------


def drawn(digit, generator):
    """Return the strokes of a digit drawn by hand, slanted and stretched at random, a list of float [n, 2]."""
    slant, width = generator.normal(0, 0.12), generator.uniform(0.8, 1.1)
    matrix = np.array([[width, 0], [slant, 1]])
    return [points @ matrix for points in strokes_of(digit, generator, tremor=0.4)]


def traced(image):
    """Return the centre line of the strokes of a MNIST image, uint8 [28, 28], a list of float [n, 2]."""
    mask = ndimage.gaussian_filter(ndimage.zoom(image / 255.0, 4, order=1), 2) > 0.4
    points = np.argwhere(thin(np.pad(mask, 1)))[:, ::-1].astype(float)
    distances = np.abs(points[:, None] - points[None]).max(axis=2)
    first, second = np.nonzero(np.triu(distances == 1))
    near = distances <= 3
    points = near @ points / near.sum(axis=1, keepdims=True)  # smooths the steps of the pixel grid
    return [points[first] * (1 - t) + points[second] * t for t in (0, 0.25, 0.5, 0.75, 1)]


def thin(mask):
    """Return `mask`, bool [H, W], thinned to lines one pixel wide (with the structuring elements of Golay's L)."""
    edge, corner = np.array([[0, 0, 0], [2, 1, 2], [1, 1, 1]]), np.array([[2, 0, 0], [1, 1, 0], [2, 1, 2]])
    elements = [np.rot90(element, turns) for turns in range(4) for element in (edge, corner)]
    while True:
        before = mask
        for element in elements:
            mask = mask & ~ndimage.binary_hit_or_miss(mask, element == 1, element == 0)
        if (mask == before).all():
            return mask


# --- Sheet -----------------------------------------------------------------------------------------------------------


def place(strokes, height, degrees, centre):
    """Return `strokes` rotated by `degrees`, `height` pixels high, around `centre`, (x, y)."""
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    points = np.concatenate(strokes)
    scale = height / np.ptp(points[:, 1])
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    return [(path - middle) * scale @ matrix + centre for path in strokes]


def polyline(corners, n=400):
    """Return `n` points along the lines between `corners`, float [n, 2]."""
    corners = np.asarray(corners, dtype=float)
    along = np.linspace(0, len(corners) - 1, n)
    return np.stack([np.interp(along, np.arange(len(corners)), corners[:, axis]) for axis in (0, 1)], axis=1)


def make_paper(kind, size, generator):
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
        sheet += 0.4 * smooth_noise(generator, (height, width), 18)[..., None]
    if kind == "creased":
        for _ in range(3):
            sheet *= 1 - 0.1 * half_plane(size, generator, 12)[..., None]
    return sheet


def half_plane(size, generator, width):
    """Return 1 on one side of a random line and 0 on the other, float [height, width]; the edge is `width` wide."""
    angle, (x, y) = generator.uniform(0, 2 * np.pi), (side * generator.uniform(0.25, 0.75) for side in size)
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    distance = (columns - x) * np.cos(angle) + (rows - y) * np.sin(angle)
    return np.clip(distance / width + 0.5, 0, 1)


def extra_strokes(kind, size, box, generator):
    """Return the strokes of what else is drawn on the sheet; the digit fills `box`, (left, top, right, bottom)."""
    left, top, right, bottom = box
    height, width = bottom - top, size[0]
    gap = 0.25 * height
    outer = [(left - gap, top - gap), (right + gap, top - gap), (right + gap, bottom + gap), (left - gap, bottom + gap)]
    if kind == "a box":
        return [polyline([*outer, outer[0]]) + generator.normal(0, 0.2, (400, 2))]
    if kind == "a circle":
        angle = np.linspace(0, 2 * np.pi, 400)
        centre, radii = np.array([left + right, top + bottom]) / 2, (0.5 * (right - left) + gap, 0.5 * height + gap)
        return [centre + np.stack([radii[0] * 1.2 * np.cos(angle), radii[1] * np.sin(angle)], axis=1)]
    if kind in {"a second digit", "two more digits", "a word"}:
        centre = (top + bottom) / 2
        places = [right + 0.6 * height, left - 0.6 * height][: 1 if kind == "a second digit" else 2]
        if kind == "a word":
            places = [left - 1.2 * height, left - 0.6 * height, right + 0.6 * height, right + 1.2 * height]
        return [
            stroke
            for x in places
            for stroke in place(drawn(int(generator.integers(10)), generator), height, 0, (x, centre))
        ]
    if kind == "margin line":
        return [polyline([(0.12 * width, 0), (0.12 * width, size[1])])]
    if kind == "a scribble":
        return [smooth(generator.uniform((left, top), (right, bottom), (12, 2)))]
    return []


def spots(kind, size, generator):
    """Return the dark spots on the sheet, holes or crumbs, a list of (x, y, radius) in pixels."""
    width, height = size
    if kind == "spiral holes":
        return [(x, 5 * SCALE, 2 * SCALE) for x in np.arange(5 * SCALE, width, 8 * SCALE)]
    if kind == "two holes":
        return [(12 * SCALE, height / 2 + side * 40 * SCALE * height / 525, 3 * SCALE) for side in (-1, 1)]
    if kind == "crumbs":
        return [(*generator.uniform((0, 0), size), generator.uniform(0.2, 0.6) * SCALE) for _ in range(15)]
    return []


def make_sheet(strokes, setting, generator):
    """Return the sheet with the digit on it, float [height, width, 3]."""
    size = tuple(SCALE * side for side in setting["sheet"])
    height, pen, kind = SCALE * setting["height"], SCALE * setting["pen"], setting["extra"]
    if kind in {"two more digits", "a word"}:
        height = 0.5 * height
    shape = np.ptp(np.concatenate(place(strokes, height, setting["angle"], (0, 0))), axis=0)
    room = np.maximum(np.array(size) - shape - 2 * MARGIN * SCALE, 0)
    if kind != "none" or setting["tilt"]:
        room = room * 0.3
    centre = np.array(size) / 2 + generator.uniform(-0.5, 0.5, 2) * room
    if kind == "half a digit":
        centre[1] = size[1] - generator.uniform(-0.1, 0.1) * height
    strokes = [] if kind == "a scribble" else place(strokes, height, setting["angle"], centre)
    strokes += extra_strokes(kind, size, (*(centre - shape / 2), *(centre + shape / 2)), generator)
    paper = make_paper(setting["paper"], size, generator)
    scene = blend(paper, setting["ink"], ink_strokes(strokes, size, pen, generator))
    columns, rows = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    for x, y, radius in spots(kind, size, generator):
        scene[(columns - x) ** 2 + (rows - y) ** 2 < radius**2] = (0.16, 0.13, 0.11)
    return scene


def place_on_desk(sheet, kind, generator):
    """Return `sheet` on a kind of desk, float [height, width, 3]."""
    if kind == "none":
        return sheet
    height, width = sheet.shape[:2]
    colour = {"wooden desk": (0.58, 0.42, 0.28), "bright desk": (0.74, 0.73, 0.70)}.get(kind, (0.20, 0.18, 0.17))
    wood = smooth_noise(generator, (height * 3 // 2, width * 3 // 2), (3, 60))[..., None]
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


# --- Photograph ------------------------------------------------------------------------------------------------------


def photograph_sheet(strokes, setting, generator):
    """Return a PIL image of `strokes` on a sheet; `setting` has the keys of `USUAL`."""
    scene = place_on_desk(make_sheet(strokes, setting, generator), setting["desk"], generator)
    size = scene.shape[1], scene.shape[0]
    scene = scene * light(size, 1.0, 1 - setting["falloff"], generator.uniform(0, 2 * np.pi))
    if setting["shadow"]:
        depth, width = setting["shadow"]
        scene = scene * (1 - depth * half_plane(size, generator, width)[..., None])
    t = setting["tilt"]
    corners = [t * size[0], t * size[1], 0, size[1], size[0], size[1], (1 - t) * size[0], t * size[1]]
    return take_photo(scene, generator, setting["noise"], setting["blur"], corners if t else None)


def compress(picture, quality):
    """Return `picture` as it comes back from a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "jpeg", quality=quality)
    return Image.open(file)


def make_photos(changes, test, repetitions=REPETITIONS):
    """Yield (photograph, digit) of one level: `repetitions` of each digit drawn, and of each from the split `test`.

    The digit is None if the level is about pictures that do not show a single digit.
    """
    setting = USUAL | changes
    for seed in range(repetitions):
        for digit in range(10):
            for source in range(2):
                generator = np.random.default_rng([seed, digit, source])
                image = test.images[torch.where(test.labels == digit)[0][seed], 0].numpy()
                strokes = traced(image) if source else drawn(digit, generator)
                picture = compress(photograph_sheet(strokes, setting, generator), setting["quality"])
                yield picture, None if setting["extra"] in NOT_ONE_DIGIT else digit


# --- Results ---------------------------------------------------------------------------------------------------------


def count(net, pairs):
    """Return what became of `pairs`, pictures and their digits (None if it is not a single digit), a dictionary."""
    counts = dict.fromkeys(("n", "right", "refused", "with_warning", "wrong_without_warning"), 0)
    for picture, digit in pairs:
        counts["n"] += 1
        try:
            ink = extract_ink(load_image(picture))
        except ValueError:
            counts["refused"] += 1
            continue
        right, warned = int(classify(net, [ink]).argmax()) == digit, bool(find_warnings(net, ink))
        counts["right"] += right
        counts["with_warning"] += warned
        counts["wrong_without_warning"] += not right and not warned
    return counts


def ordinary_digits(test):
    """Return the pictures that should rarely get a warning, with their digits: a dictionary of lists by name."""
    handwritten = [(ImageOps.expand(image, 8), digit) for image, digit in other_digits.handwritten()]
    return {
        "MNIST's test images, every fifth": list(zip(test.images[::5], test.labels[::5].tolist(), strict=True)),
        "scikit-learn's digits, with a margin": handwritten,
        f"printed, {len(other_digits.FONTS)} fonts": other_digits.printed(),
        "the pictures in reader/samples/": other_digits.sample_pictures(),
    }


def table():
    """Return the results as a table in Markdown: the levels that are read poorly, and the sum of all others."""
    levels = [
        {key: value if key in {"condition", "level"} else int(value) for key, value in row.items()} for row in read(CSV)
    ]
    photos = [row for row in levels if row["condition"] not in {"no single digit", "ordinary"}]
    weak = [row for row in photos if row["right"] < 0.95 * row["n"]]
    others = [row for row in photos if row not in weak]
    lines = [
        "| pictures | n | right | refused | with a warning | wrong without a warning |",
        "|---|---|---|---|---|---|",
    ]
    lines += [format_row(f"{row['condition']}: {row['level']}", [row]) for row in weak]
    lines.append(format_row(f"{len(others)} other conditions", others))
    for row in levels:
        if row["condition"] in {"no single digit", "ordinary"}:
            lines.append(format_row(row["level"], [row], has_answer=row["condition"] == "ordinary"))
    return "\n".join(lines)


def format_row(name, rows, has_answer=True):
    """Return a line of the table with the sums of `rows`."""
    n, right, *others = (
        f"{sum(row[key] for row in rows):,}"
        for key in ("n", "right", "refused", "with_warning", "wrong_without_warning")
    )
    return f"| {' | '.join([name, n, right if has_answer else '–', *others])} |"


def main():
    torch.set_num_threads(1)
    net, (_, test) = load_net(), utils.load_mnist(ROOT / "data")
    rows = []
    for condition, levels in CONDITIONS.items():
        for level, changes in levels.items():
            rows.append({"condition": condition, "level": level} | count(net, make_photos(changes, test)))
            print(*rows[-1].values(), sep=", ", flush=True)
    for name, pairs in ordinary_digits(test).items():
        rows.append({"condition": "ordinary", "level": name} | count(net, pairs))
    write_rows(CSV, rows)
    print(table())


if __name__ == "__main__":
    main()
