"""`python -m reader`: one line per picture, whatever the pictures are."""

import errno
import os
import re
import subprocess
import sys

import pytest
from drawings import as_image, ink_of_number
from helpers import ROOT
from PIL import Image

import reader.__main__ as command
from model import load_net
from reader import read_digit, samples


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["reader", *map(str, arguments)])
    return command.main()


def test_bad_pictures_are_reported_and_counted_and_the_others_read(capsys, monkeypatch, tmp_path):
    good = [samples.FOLDER / name for name in ("tablet.png", "chalk.jpg")]
    blank, none = tmp_path / "blank.png", tmp_path / "none.png"
    Image.new("L", (90, 90)).save(blank)
    assert run(monkeypatch, good[0], blank, none, tmp_path, good[1]) == 3
    printed = capsys.readouterr()
    names = [re.escape(str(path)) for path in good]
    assert re.fullmatch(rf"{names[0]}: 8, confidence [\d.]+%\n{names[1]}: 3, confidence [\d.]+%\n", printed.out)
    first, *others = printed.err.splitlines()
    assert first.startswith(f"{blank}: no strokes stand out")
    assert others == [
        f"{none}: {os.strerror(errno.ENOENT)}",
        f"{tmp_path}: {os.strerror(errno.EACCES if os.name == 'nt' else errno.EISDIR)}",
    ]


def test_numbers_and_warnings_are_printed(net, capsys, monkeypatch, tmp_path):
    path = tmp_path / "407.png"
    as_image(ink_of_number("407", width=60)).save(path)
    assert run(monkeypatch, "--number", path) == 0
    assert re.fullmatch(rf"{re.escape(str(path))}: 407, confidence \d+\.\d%\n", capsys.readouterr().out)
    assert run(monkeypatch, path) == 0
    printed = capsys.readouterr().out
    _, warnings = read_digit(net, path)
    assert warnings
    assert all(f"; warning: {warning}" in printed for warning in warnings)


@pytest.mark.parametrize("content", [None, b"torn"], ids=["missing", "damaged"])
def test_bad_weights_are_reported_in_one_line(monkeypatch, tmp_path, content):
    weights = tmp_path / "weights.pt"
    if content is not None:
        weights.write_bytes(content)
    monkeypatch.setattr(command, "WEIGHTS", weights)
    monkeypatch.setattr(command, "load_net", lambda: load_net(weights))
    with pytest.raises(SystemExit, match=rf"\A{re.escape(str(weights))}.*\Z"):
        run(monkeypatch, samples.FOLDER / "tablet.png")


def test_any_encoding_is_printed_to_and_only_what_is_needed_is_imported(five, tmp_path):
    good, bad = tmp_path / "fünf→.png", tmp_path / "none→.png"
    as_image(five).save(good)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "reader", str(bad), str(good)],
        cwd=ROOT,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "f?nf?.png: 5, confidence" in done.stdout
    assert "none?.png: " in done.stderr
    imported = set(re.findall(r"\| +(\w+)$", done.stderr, flags=re.MULTILINE))
    assert "torch" in imported
    assert not imported & {"torchvision", "sklearn", "pandas"}
