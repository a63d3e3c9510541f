"""`python -m reader`: one line per picture, whatever the pictures are."""

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

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


def start(*arguments, **options):
    """Return the process `python -m reader` with these arguments."""
    command_line = [sys.executable, "-m", "reader", *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command_line, cwd=ROOT, text=True, **(pipes | options))


def test_any_encoding_is_printed_to(five, tmp_path):
    good, bad = tmp_path / "fünf→.png", tmp_path / "none→.png"
    as_image(five).save(good)
    process = start(bad, good, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    printed, errors = process.communicate()
    assert process.returncode == 1
    assert "f?nf?.png: 5, confidence" in printed
    assert "none?.png: " in errors


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize("how", ["closed pipe", "Ctrl-C"])
def test_the_command_can_be_stopped(how):
    process = start(*[samples.FOLDER / "tablet.png"] * 100)
    assert process.stdout.readline().endswith("%\n")
    if how == "Ctrl-C":
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    process.stdout.close()
    errors = process.stderr.read()
    assert (process.wait(), errors) == (130 if how == "Ctrl-C" else 141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_reported():
    with Path("/dev/full").open("w") as full:
        process = start(samples.FOLDER / "tablet.png", stdout=full)
        errors = process.communicate()[1]
    assert (process.returncode, errors) == (1, "the answer cannot be written: No space left on device\n")


@pytest.mark.parametrize("name", ["8", "no"])
def test_errors_name_the_file(capsys, monkeypatch, tmp_path, name):
    Image.new("L", (90, 90)).save(tmp_path / name, "png")
    (tmp_path / "text").write_text("eight")
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, name, "text") == 2
    blank, text = capsys.readouterr().err.splitlines()
    assert blank.startswith(f"{name}: no strokes stand out")
    assert text.startswith("text is not a readable picture")
