"""How well are pictures of digits read?  `make exp-reader_study`

    photos     photographs of one digit by synthetic_photos.py, twenty for each condition that is made harder
    ordinary   digits from MNIST, from scikit-learn (Alpaydin and Kaynak, 1998) and printed ones
    limits     quantiles of the shape features of MNIST's training images, the limits in reader/sanity_checks.py

Without `--parts`, it measures the first two, in 5 minutes. With `--real FOLDER`, it reads the pictures there instead.
They are in pictures/, and labels.csv has the columns file, task (digit or number), kind and label. Real digits are also
read the way that many tutorials do it: grey, Otsu's threshold, bounding box, centre. The pictures of real_photos.csv
are from public repositories, and not part of this one.
"""

import functools
import itertools
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import torch
from PIL import Image, ImageDraw, ImageFont, ImageOps

import utils
from experiments import results, stats
from experiments.synthetic_photos import photograph_digit
from model import load_net
from reader import read_digit, read_number, samples, text_of
from reader.image_ops import otsu_threshold
from reader.load_image import decode
from reader.sanity_checks import classify_rotated
from reader.shape_features import shape_features

NO_DIGIT = ("a second digit", "a word", "a scribble", "half a digit")
CONDITIONS = {  # condition: level → what differs from the usual picture
    "the usual picture": {},
    **{f"pen: {pen} mm": {"pen": pen} for pen in (0.3, 3)},
    **{f"height of the digit: {height} mm": {"height": height} for height in (5, 20, 90)},
    "sheet: A4, digit of 10 mm": {"sheet": (297, 210), "height": 10},
    "ink: red": {"ink": (0.80, 0.15, 0.15)},
    "ink: faint pencil": {"ink": (0.68, 0.68, 0.70)},
    "ink: yellow marker": {"ink": (0.95, 0.90, 0.25), "pen": 3},
    "paper: ruled": {"lines": (0.72, 0.80, 0.90)},
    "paper: dark squares": {"lines": (0.45, 0.55, 0.72), "squares": True},
    "paper: brown": {"paper": (0.66, 0.51, 0.36)},
    "paper: blackboard, chalk": {"paper": (0.13, 0.22, 0.18), "ink": (0.88, 0.88, 0.85), "pen": 1.5},
    "light: −60%": {"falloff": 0.6},
    "shadow: soft edge, 60%": {"shadow": (0.6, 60)},
    "shadow: hard edge, 60%": {"shadow": (0.6, 2)},
    **{f"rotation: {angle}°": {"angle": angle} for angle in (-30, -15, 15, 30)},
    "camera tilt: 30% narrower": {"tilt": 0.15},
    **{f"blur: {blur} pixels": {"blur": blur} for blur in (4, 8)},
    "noise: 12%": {"noise": 0.12},
    "JPEG quality: 8": {"quality": 8},
    "around the sheet: dark desk": {"on_desk": True},
    **{name: {"extra": name} for name in ("a box", "spiral holes", *NO_DIGIT)},
}
FONTS = (  # all versions of matplotlib that requirements.txt allows bring them along
    *(f"DejaVu{style}" for style in ("Sans", "Sans-Bold", "Sans-Oblique", "SansMono")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic")),
    *("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta", "cmr10", "cmb10", "cmss10", "cmtt10"),
)
QUANTILES = {"minimum": 0, "0.1%": 0.001, "1%": 0.01, "median": 0.5, "99.9%": 0.999, "maximum": 1}
COUNTS = ["n", "right", "refused", "with a warning", "wrong without a warning"]

# --- Pictures and how they are read ----------------------------------------------------------------------------------


def printed(angle=0):
    """Yield the ten digits in each of `FONTS`, black on white, rotated by `angle` degrees, with their labels."""
    for name, digit in itertools.product(FONTS, range(10)):
        font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", 120)
        image = Image.new("L", (220, 220), 255)
        ImageDraw.Draw(image).text((110, 110), str(digit), fill=0, font=font, anchor="mm")
        yield image.rotate(angle, Image.Resampling.BICUBIC, fillcolor=255), digit


def handwritten(margin=0):
    """Yield scikit-learn's digits, enlarged from 8×8 to 64×64, with their labels."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for pixels, label in zip(digits.images, digits.target, strict=True):
        image = Image.fromarray(np.uint8(np.rint(pixels * 255 / 16))).resize((64, 64), Image.Resampling.BICUBIC)
        yield ImageOps.expand(image, margin), label


def read(net, picture, is_number=False):
    """Return the digit or number in a picture as text, empty if it is refused, and whether there is a warning."""
    try:
        answer, warnings = (read_number if is_number else read_digit)(net, picture)
    except ValueError:
        return "", False
    return text_of(answer) if is_number else str(int(answer.argmax())), bool(warnings)


def read_simply(net, path):
    """Return the digit in a picture as text, found with Otsu's threshold alone."""
    grey = np.asarray(decode(path)[0].convert("L"))
    dark = grey < otsu_threshold(grey)
    ink = Image.fromarray(np.uint8(255 * (dark if dark.mean() < 0.5 else ~dark)))
    image = ImageOps.expand(ImageOps.pad(ink.crop(ink.getbbox()), (20, 20), Image.Resampling.BOX), 4)
    return str(int(utils.compute_logits(net, torch.from_numpy(np.array(image))[None, None]).argmax()))


def count(readings):
    """Return the `COUNTS` of `readings`, a list of (label, text, whether there is a warning)."""
    found = pd.DataFrame(readings, columns=["label", "text", "warned"])
    right, refused = found["text"] == found["label"].astype(str), found["text"] == ""
    sums = len(found), right.sum(), refused.sum(), found["warned"].sum(), (~right & ~refused & ~found["warned"]).sum()
    return dict(zip(COUNTS, map(int, sums), strict=True))


# --- Measure: each function yields the rows of one file --------------------------------------------------------------


def measure_photos(net):
    for condition, changes in CONDITIONS.items():
        readings = []
        for digit, seed in itertools.product(range(10), range(2)):
            picture = photograph_digit(digit, np.random.default_rng([seed, digit]), **changes)
            readings.append(("none" if condition in NO_DIGIT else digit, *read(net, picture)))
        yield {"pictures": condition} | count(readings)


def measure_ordinary(net):
    _, test = utils.load_mnist(results.ROOT / "data")
    for name, pairs in {
        "MNIST's test images, every fifth": zip(test.images[::5], test.labels[::5].tolist(), strict=True),
        "scikit-learn's digits": handwritten(),
        "the same, with a margin": handwritten(8),
        f"printed, {len(FONTS)} fonts": printed(),
        "the same, rotated left by 30°": printed(30),
        "the pictures in reader/samples/": ((path, samples.LABELS[path.name]) for path in samples.paths()),
    }.items():
        yield {"pictures": name} | count([(label, *read(net, picture)) for picture, label in pairs])


def measure_real(net, folder):
    pictures = pd.read_csv(folder / "labels.csv", dtype=str)
    for (task, kind), own in pictures.groupby(["task", "kind"]):
        pairs = [(label, folder / "pictures" / file) for label, file in own[["label", "file"]].to_numpy()]
        simple = sum(read_simply(net, path) == label for label, path in pairs) if task == "digit" else None
        counts = count([(label, *read(net, path, task == "number")) for label, path in pairs])
        yield {"pictures": f"{task}: {kind}"} | counts | {"Otsu's threshold alone": simple}


def measure_limits(net):
    train, _ = utils.load_mnist(results.ROOT / "data")
    inks = train.images[:, 0].numpy() / np.float32(255)
    features = pd.DataFrame([shape_features(ink) for ink in inks])
    features["stability"] = pd.Series([classify_rotated(net, ink).mean(dim=0).max().item() for ink in inks[::10]])
    for name in features:
        yield {"feature": name} | {column: f"{features[name].quantile(q):.2f}" for column, q in QUANTILES.items()}


PARTS = {  # part → its file, what measures it
    "photos": ("photo_robustness", measure_photos),
    "ordinary": ("other_digits", measure_ordinary),
    "limits": ("shape_limits", measure_limits),
}

# --- Results ---------------------------------------------------------------------------------------------------------


def table(found, *more):
    """Return a Markdown table of the first column of `found`, its `COUNTS` and the columns `more`.

    `found` is a DataFrame, or the name of a file in results/.
    """
    found = results.read(found) if isinstance(found, str) else found
    columns = [found.columns[0], *COUNTS, *more]
    cells = found[columns].map(lambda cell: cell if isinstance(cell, str) else "–" if pd.isna(cell) else f"{cell:,.0f}")
    is_share = (found["n"] >= 100) & found["right"].notna()
    cells.loc[is_share, "right"] += [f" ({share:.1%})" for share in (found["right"] / found["n"])[is_share]]
    return stats.markdown(columns, cells.to_numpy())


def photos_table():
    """Return the table of photographs: the conditions that are read poorly, and the sum of all others."""
    found = results.read("photo_robustness")
    no_digit, poor = found["pictures"].isin(NO_DIGIT), found["right"] < 0.95 * found["n"]
    others = found[~poor]
    sums = others[COUNTS].sum().to_frame().T.assign(pictures=f"{len(others)} other conditions")
    return table(pd.concat([found[poor & ~no_digit], sums, found[no_digit].assign(right=None)], ignore_index=True))


def main():
    parser = results.parser("Read pictures of digits and count the answers that are right.")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=["photos", "ordinary"])
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="read these pictures, with their labels.csv")
    options = parser.parse_args()
    torch.set_num_threads(1)
    net, machine = load_net(), results.machine_columns()
    real = ("real_photos", functools.partial(measure_real, folder=options.real))
    for name, measure in [real] if options.real else [PARTS[part] for part in options.parts]:
        found = pd.DataFrame(measure(net))
        print(found.to_string())
        found.assign(**machine).to_csv(results.path_for(name, options.update), index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
