"""Write the numbers that were measured into the texts: READMEs and the notebook's Markdown cells. `make report`

A text marks regions, such as `<!-- epyc.mean_10 -->99.502%<!-- /epyc.mean_10 -->`, and `REGIONS` says what fills them.
A region that begins on the line of its opening marker stays on that line; a marker on a line of its own encloses a
paragraph or a table.
"""

import functools
import importlib
import json
import re

from experiments.results import ROOT

TEXTS = ["README.md", "MNIST_6k.ipynb", "experiments/README.md", "experiments/HISTORY.md"]
TEXTS += ["reader/README.md", "web/README.md"]
MARKER = re.compile(r"<!-- /?[\w.]+ -->")
REGION = re.compile(r"<!-- ([\w.]+) -->((?:(?!<!--).)*)<!-- /\1 -->", re.DOTALL)  # not across another marker


def lazily(path, *arguments):
    """Return a function that calls experiments.`path` with `arguments`, once, and imports the module only then."""
    module, function = path.split(".")
    return functools.cache(lambda: getattr(importlib.import_module(f"experiments.{module}"), function)(*arguments))


REGIONS = {
    # Sentences, paragraphs and tables
    "headline": lazily("seeds.headline"),
    "seeds": lazily("seeds.machines_table"),
    "schedules": lazily("schedule_length.table"),
    "recommended_epochs": lazily("schedule_length.recommended"),
    "other_networks": lazily("other_networks.table"),
    "other_networks_difference": lazily("other_networks.check"),
    "buildup": lazily("buildup.table"),
    "unseen_pictures": lazily("unseen_pictures.table"),
    "real_photos": lazily("reader_study.table", "real_photos", "Otsu's threshold alone"),
    "photo_robustness": lazily("reader_study.photos_table"),
    "other_digits": lazily("reader_study.table", "other_digits"),
    "time_to_accuracy": lazily("speed.runs_table"),
    "time_to_accuracy_ratio": lazily("speed.to_target_ratio", "cpu Intel(R) Xeon(R) Processor"),
    "speed_cpu": lazily("speed.steps_table", "cpu", "steps"),
    "speed_gpu": lazily("speed.steps_table", "cuda", "steps"),
    "speedups_cpu": lazily("speed.steps_table", "cpu", "speedups"),
    "speedups_gpu": lazily("speed.steps_table", "cuda", "speedups"),
    "page_check": lazily("page_study.check"),
    "page_strokes": lazily("reader_study.table", "page_strokes", "split"),
    # Single figures, by a second name: epyc.mean_10
    "epyc": lazily("seeds.machine_summary", "epyc"),
    "xeon": lazily("seeds.machine_summary", "xeon"),
    "h100": lazily("seeds.machine_summary", "h100"),
    "first_attempt": lazily("seeds.earlier_summary", "strength_seeds", "test_accuracy"),
    "held_out": lazily("seeds.earlier_summary", "strength", "validation_accuracy", "strength 0.5"),
    "writers": lazily("writers.figures"),
    "xeon_minus_epyc": lazily("seeds.machine_difference", "xeon"),
    "h100_minus_epyc": lazily("seeds.machine_difference", "h100"),
    "xeon_epochs": lazily("schedule_length.means", "xeon"),
    "h100_epochs": lazily("schedule_length.means", "h100"),
    "other_networks_words": lazily("other_networks.in_words"),
    "buildup_mean": lazily("buildup.figures"),
    "calibration": lazily("calibration.figures"),
    "labels": lazily("label_errors.counts"),
    "exercises": lazily("exercises.answers"),
    "unseen": lazily("unseen_pictures.figures"),
    "epyc_run": lazily("speed.run_seconds", "cpu AMD EPYC"),
    "h100_run": lazily("speed.run_seconds", "cuda NVIDIA H100 80GB HBM3"),
    "cpu_run": lazily("speed.run_seconds", "cpu"),
}


def region(name):
    """Return the content of the region `name`, or None if there is none of that name."""
    name, _, figure = name.partition(".")
    content = REGIONS[name]() if name in REGIONS else {}
    return content.get(figure) if isinstance(content, dict) else str(content)


def fill(text, where):
    """Return `text` with its regions filled. Raises ValueError, naming `where` and the marker, if one is wrong."""

    def filled(match):
        name, old = match.groups()
        content, own_line = region(name), old.startswith("\n")
        if content is None:
            raise ValueError(f"{where}: {name} is not in REGIONS of experiments/report.py")
        if not own_line and text[: match.start()].endswith("\n"):
            raise ValueError(f"{where}: {name} begins a line, where it is HTML; join it to the line before")
        inner = f"\n\n{content}\n\n" if own_line else content
        return f"<!-- {name} -->{inner}<!-- /{name} -->"

    if unpaired := MARKER.search(REGION.sub("", text)):
        raise ValueError(f"{where}: {unpaired.group()} has no partner")
    return REGION.sub(filled, text)


def fill_file(path):
    """Return the text of a Markdown file or notebook with its regions filled."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return fill(text, path)
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = fill("".join(cell["source"]), path).splitlines(keepends=True)
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def main():
    filled = {ROOT / name: fill_file(ROOT / name) for name in TEXTS}  # all of them, before any is written
    for path, text in filled.items():
        if text != path.read_text(encoding="utf-8"):
            path.write_text(text, encoding="utf-8", newline="\n")
            print(f"{path.relative_to(ROOT)}: updated")


if __name__ == "__main__":
    main()
