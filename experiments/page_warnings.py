"""How often does the draw-a-digit page warn? `make exp-page_warnings` (some ten minutes, with Chromium)

Gives the page what should get no warning, the first 2,000 test images of MNIST, and what should get one: crosses,
hearts and scribbles, 100 of each, with random size, slant and tremor. Writes experiments/results/page_warnings.csv.

MNIST has no strokes. So its images are tried in two ways: traced as strokes, which costs some of the accuracy, and as
pixels, without the two checks that need strokes of the page's pen (`length` and `cross`).

The limits `MAX_LENGTH`, `MIN_ROUNDNESS` and `MIN_STABILITY` of web/draw.template.html were chosen with traced training
images: `--training` prints their quantiles. The other limits are those of reader/sanity_checks.py.
"""

import argparse
import collections

import numpy as np
from scipy import ndimage

import utils
from experiments import RESULTS, ROOT, timing
from experiments.photo_robustness import thin
from experiments.synthetic_photos import smooth
from reader.image_ops import bounding_box, resize
from reader.mnist_format import to_mnist_format
from reader.sanity_checks import ROTATION, rotate
from web.browser import open_chrome
from web.build import PAGE

CSV = RESULTS / "page_warnings.csv"
IMAGES, EACH = 2000, 100
KINDS = {
    "side_by_side": "side by side",
    "length": "more ink",
    "outline": "closed outline",
    "rotation": "rotated by",
    "cross": "straight lines",
    "dot": "a dot",
}

# --- MNIST's digits as strokes ---------------------------------------------------------------------------------------


def traced(image):
    """Return the uint8 [28, 28] `image` as strokes along the middle of its ink, lists of points of the 280×280 pad."""
    scale = 4
    mask = ndimage.gaussian_filter(ndimage.zoom(image / 255, scale, order=1), 1) > 0.5
    left = {tuple(point) for point in np.argwhere(thin(np.pad(mask, 1))).tolist()}
    done, strokes = set(), []

    def neighbours(point, points):
        row, column = point
        near = [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
        return sorted((p for p in near if p in points), key=lambda p: abs(p[0] - row) + abs(p[1] - column))

    while left:
        ends = [p for p in left if len(neighbours(p, left)) <= 1]
        stroke = [min(ends or left)]
        stroke[:0] = neighbours(stroke[0], done)[:1]  # begins on the stroke that it branches off from
        while True:
            left.discard(stroke[-1])
            done.add(stroke[-1])
            options = neighbours(stroke[-1], left)
            if not options:
                break
            behind = np.subtract(stroke[-1], stroke[max(0, len(stroke) - 6)])  # continues as straight as possible
            stroke.append(max(options, key=lambda p: np.dot(np.subtract(p, stroke[-1]), behind)))
        stroke += neighbours(stroke[-1], done - set(stroke[-4:]))[:1]  # ends on the stroke that it meets
        points = np.array(stroke, dtype=float)[:, ::-1]
        if len(points) > 4:  # without the steps of the pixels
            points[1:-1] = (points[:-2] + points[1:-1] + points[2:]) / 3
        strokes.append(((points + 0.5) * 280 / (28 * scale)).tolist())
    return strokes


# --- Drawings of no digit --------------------------------------------------------------------------------------------


def tremble(strokes, generator):
    """Return `strokes` with random size, slant, rotation and tremor."""
    a, b, c, d = generator.normal([1, 0, 0, 1], 0.1)
    size = generator.uniform(0.4, 0.9)
    changed = []
    for stroke in strokes:
        points = (np.asarray(stroke, dtype=float) - 140) @ [[a, b], [c, d]] * size + 140
        changed.append((points + np.cumsum(generator.normal(0, 0.5, points.shape), axis=0)).tolist())
    return changed


def cross(generator):
    """Return an × or a +."""
    shape = [[(50, 50), (230, 230)], [(230, 50), (50, 230)]]
    if generator.random() < 0.5:
        shape = [[(140, 40), (140, 240)], [(40, 140), (240, 140)]]
    return tremble([np.linspace(*line, 20) for line in shape], generator)


def heart(generator):
    """Return a heart, drawn in one stroke from its notch."""
    width, notch = generator.uniform(80, 100), generator.uniform(25, 50)
    half = np.array([(0, 0), (30, -notch), (width, 10 - notch), (width, 30), (50, 90), (0, 140)])
    right, left = (smooth((half * (sign, 1) + [140, 100]).tolist()) for sign in (1, -1))
    return tremble([np.concatenate([right, left[::-1]])], generator)


def scribble(generator):
    """Return a curve through random points."""
    return tremble([smooth(generator.uniform(40, 240, (int(generator.integers(8, 30)), 2)).tolist())], generator)


# --- Measure ---------------------------------------------------------------------------------------------------------


def warnings_on_page(chrome, strokes):
    """Return the answer and the warnings of the page that is open in `chrome` for `strokes`."""
    script = """
        const found = split(arguments[0]).found.map(classifyDigit);
        return [found.map(({ answer }) => answer).join(""), found.flatMap(warningsOf)];
    """
    return chrome.execute_script(script, strokes)


def warnings_for_pixels(chrome, image):
    """Return what `warnings_on_page` does for the uint8 [28, 28] `image` instead of strokes."""
    ink = (image / 255).astype(np.float32)[bounding_box(image > 25)]
    inputs = [to_mnist_format(rotate(ink, degrees)) for degrees in (0, -ROTATION, ROTATION)]
    script = """
        const fromBytes = (bytes) => Float32Array.from(bytes, (byte) => byte / 255);
        const [inputs, ink] = [...arguments].map((lists) => lists.map(fromBytes));
        const probabilities = inputs.map((pixels) => softmax(forward(pixels).logits));
        const confidence = Math.max(...probabilities[0]), answer = probabilities[0].indexOf(confidence);
        const stability = probabilities.reduce((sum, some) => sum + some[answer], 0) / 3;
        const found = [];
        if (neighbourHeight(ink[0]) > MAX_NEIGHBOUR_HEIGHT) found.push("side by side");
        if (roundness(ink[0]) < MIN_ROUNDNESS) found.push("closed outline");
        if (stability < MIN_STABILITY) found.push("rotated by");
        return [String(answer), found];
    """
    side = 160
    height, width = (max(1, round(side * n / max(ink.shape))) for n in ink.shape)
    enlarged, top, left = resize(ink, (height, width)), (side - height) // 2, (side - width) // 2
    box = np.pad(enlarged, ((top, side - height - top), (left, side - width - left)))
    as_bytes = np.rint(255 * np.clip(box, 0, 1)).astype(np.uint8).ravel().tolist()
    return chrome.execute_script(script, [pixels.flatten().tolist() for pixels in inputs], [as_bytes])


def count(chrome, name, drawings, warn=warnings_on_page):
    """Return a row of the CSV: how many of `drawings`, each with its digit or None, got which warnings by `warn`."""
    counts = collections.Counter()
    for drawing, digit in drawings:
        answer, warnings = warn(chrome, drawing)
        counts["n"] += 1
        counts["correct"] += answer == str(digit)
        counts["warned"] += bool(warnings)
        counts["wrong_without_warning"] += answer != str(digit) and not warnings
        counts.update(kind for kind, words in KINDS.items() if any(words in warning for warning in warnings))
    columns = ("n", "correct", "warned", "wrong_without_warning", *KINDS)
    return {"drawings": name} | {column: counts[column] for column in columns}


def table():
    """Return the counts as a Markdown table."""
    lines = ["| drawings | n | correct | with a warning | wrong without a warning |", "|---|---|---|---|---|"]
    for row in timing.read(CSV):
        n, warned = int(row["n"]), int(row["warned"])
        correct, wrong = int(row["correct"]), int(row["wrong_without_warning"])
        cells = (f"{correct:,}", f"{warned:,} ({warned / n:.1%})") if correct else ("–", f"{warned}")
        lines.append(f"| {row['drawings']} | {n:,} | {' | '.join(cells)} | {wrong:,} |")
    return "\n".join(lines)


def limits(chrome, images):
    """Print quantiles of what `MAX_LENGTH`, `MIN_ROUNDNESS` and `MIN_STABILITY` limit for `images`, traced."""
    script = """
        const [digit] = split(arguments[0]).found.map(classifyDigit), ink = inkOf(digit.strokes);
        const inkAt = (degrees) => inkOf(digit.strokes, degrees);
        const stability = rotationStability(inkAt, digit.answer, digit.confidence);
        return [ink.reduce((a, b) => a + b) / INK / SIDE, roundness(ink), stability];
    """
    found = np.array([chrome.execute_script(script, traced(image)) for image in images])
    print("length: 99%, 99.9%", np.quantile(found[:, 0], [0.99, 0.999]).round(2))
    print("roundness: 0.1%, 0.5%, 1%", np.quantile(found[:, 1], [0.001, 0.005, 0.01]).round(3))
    print("stability: 0.5%, 1%, 2%", np.quantile(found[:, 2], [0.005, 0.01, 0.02]).round(3))


def main():
    parser = argparse.ArgumentParser(prog="python -m experiments.page_warnings")
    parser.add_argument("--training", type=int, metavar="N", help="print the quantiles of N training images instead")
    options = parser.parse_args()
    train, test = utils.load_mnist(ROOT / "data")
    with open_chrome() as chrome:
        chrome.get(PAGE.as_uri())
        if options.training:
            limits(chrome, train.images[: options.training, 0].numpy())
            return
        digits = list(zip(test.images[:IMAGES, 0].numpy(), test.labels[:IMAGES].tolist(), strict=True))
        rows = [
            count(chrome, "MNIST's test images, as pixels", digits, warnings_for_pixels),
            count(chrome, "MNIST's test images, traced", ((traced(image), digit) for image, digit in digits)),
        ]
        for name, draw in (("crosses", cross), ("hearts", heart), ("scribbles", scribble)):
            drawings = ((draw(np.random.default_rng(seed)), None) for seed in range(EACH))
            rows.append(count(chrome, name, drawings))
    timing.write_rows(CSV, rows)
    print(table())


if __name__ == "__main__":
    main()
