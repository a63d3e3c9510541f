"""Where results are, and what every row says about the machine that made it.

A study writes to build/NAME.csv; with `--update`, to results/NAME.csv, from which report.py fills the texts.
"""

import argparse
import datetime
import platform
import re
import subprocess
from pathlib import Path

import numpy
import pandas as pd
import torch

import utils

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "experiments" / "results"
BUILD = ROOT / "build"


def read(name):
    """Return results/NAME.csv as a DataFrame."""
    return pd.read_csv(RESULTS / f"{name}.csv")


def path_for(name, update):
    """Return the path of NAME.csv: in build/, which is created, or in results/ if `update` is true."""
    folder = RESULTS if update else BUILD
    folder.mkdir(exist_ok=True)
    return folder / f"{name}.csv"


def parser(description):
    """Return an argument parser with the option `--update`, for `path_for`."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--update", action="store_true", help="write to experiments/results/ instead of build/")
    return options


def machine_columns():
    """Return the columns that say when, with which code and where something was measured: name → text."""
    kind = utils.pick_device().type
    cpuinfo = Path("/proc/cpuinfo")  # Linux; platform.processor() is only "x86_64" there
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    processor = found[1] if found else platform.processor() or platform.machine()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "date": datetime.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "device": f"{kind} {torch.cuda.get_device_name() if kind == 'cuda' else processor}",
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }
