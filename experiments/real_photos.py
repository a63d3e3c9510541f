"""How well are real pictures of handwritten digits read?  `python -m experiments.real_photos FOLDER`

FOLDER has a folder pictures/ and a file labels.csv with the columns file, task (digit or number), kind and label. The
pictures that were used are from public repositories and not part of this one. For comparison, single digits are also
read the way that many tutorials do it: grey, Otsu's threshold, bounding box, centre. One row per task and kind goes to
experiments/results/real_photos.csv. real_photos_before.csv has the figures from before the reader was improved with
the help of some of these pictures, on a larger collection.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import utils
from experiments import RESULTS
from experiments.timing import read, write_rows
from model import load_net
from reader.classify import classify
from reader.digit_string import read_number, text_of
from reader.image_ops import bounding_box, otsu_threshold
from reader.ink import extract_ink
from reader.load_image import decode, load_image
from reader.sanity_checks import find_warnings

CSV = RESULTS / "real_photos.csv"
BEFORE = RESULTS / "real_photos_before.csv"


def read_digit(net, path):
    """Return the digit in a picture as a string, and the warnings."""
    ink = extract_ink(load_image(path))
    return str(int(classify(net, [ink]).argmax())), find_warnings(net, ink)


def read_digits(net, path):
    """Return the number in a picture as a string, and the warnings."""
    digits, warnings = read_number(net, path)
    return text_of(digits), warnings


def read_simply(net, path):
    """Return the digit in a picture as a string, found with Otsu's threshold alone."""
    grey = np.asarray(decode(path)[0].convert("L"))
    dark = grey < otsu_threshold(grey)
    ink = dark if dark.mean() < 0.5 else ~dark
    cropped = Image.fromarray(np.uint8(255 * ink))
    if ink.any():
        rows, columns = bounding_box(ink)
        cropped = cropped.crop((columns.start, rows.start, columns.stop, rows.stop))
    scale = 20 / max(cropped.size)
    cropped = cropped.resize([max(1, round(scale * side)) for side in cropped.size], Image.Resampling.BOX)
    image = Image.new("L", (28, 28))
    image.paste(cropped, ((28 - cropped.width) // 2, (28 - cropped.height) // 2))
    return str(int(utils.compute_logits(net, torch.from_numpy(np.array(image))[None, None]).argmax()))


def evaluate(net, folder):
    """Return the rows of the CSV for the pictures in `folder`, a list of dictionaries."""
    counts = {}
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        pictures = list(csv.DictReader(file))
    for picture in pictures:
        path, label = folder / "pictures" / picture["file"], picture["label"]
        zero = dict.fromkeys(("pictures", "right", "simple_right", "with_warning", "wrong_without_warning"), 0)
        row = counts.setdefault((picture["task"], picture["kind"]), zero)
        is_digit = picture["task"] == "digit"
        try:
            answer, warnings = (read_digit if is_digit else read_digits)(net, path)
        except ValueError as error:
            answer, warnings = "", [str(error)]
        row["pictures"] += 1
        row["right"] += answer == label
        row["simple_right"] += is_digit and read_simply(net, path) == label
        row["with_warning"] += bool(warnings)
        row["wrong_without_warning"] += answer != label and not warnings
    return [{"task": task, "kind": kind} | row for (task, kind), row in sorted(counts.items())]


def table():
    """Return the results as a table in Markdown."""
    lines = [
        "| pictures | n | right | Otsu's threshold alone | with a warning | wrong without a warning |",
        "|---|---|---|---|---|---|",
    ]
    for row in read(CSV):
        simple = row["simple_right"] if row["task"] == "digit" else "–"
        cells = row["pictures"], row["right"], simple, row["with_warning"], row["wrong_without_warning"]
        lines.append(f"| {row['task']}: {row['kind']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def table_before():
    """Return the results before the reader was improved as a table in Markdown."""
    lines = ["| pictures | n | right | Otsu's threshold alone |", "|---|---|---|---|"]
    for row in read(BEFORE):
        right = f"{row['right']} ({int(row['right']) / int(row['pictures']):.1%})"
        lines.append(f"| {row['task']}: {row['kind']} | {row['pictures']} | {right} | {row['simple_right'] or '–'} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Read real pictures of handwritten digits.")
    parser.add_argument("folder", type=Path, help="folder with labels.csv and pictures/")
    folder = parser.parse_args().folder
    torch.set_num_threads(1)
    write_rows(CSV, evaluate(load_net(), folder))
    print(table())


if __name__ == "__main__":
    main()
