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
from reader import read_digit, samples

SAMPLE = samples.FOLDER / "tablet.png"


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["reader", *map(str, arguments)])
    return command.main()


@pytest.mark.parametrize("name", ["blank.png", "8", "no"])
def test_bad_pictures_are_named_and_counted_and_the_others_read(capsys, monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (90, 90)).save(name, "png")
    Path("text").write_text("eight")
    assert run(monkeypatch, name, "text", "none", ".", SAMPLE) == 4
    printed = capsys.readouterr()
    assert re.fullmatch(rf"{re.escape(str(SAMPLE))}: 8, confidence \d+\.\d%\n", printed.out)
    blank, text, *others = printed.err.splitlines()
    assert blank.startswith(f"{name}: no strokes stand out")
    assert text.startswith("text is not a readable picture")
    reasons = errno.ENOENT, errno.EACCES if os.name == "nt" else errno.EISDIR
    assert others == [f"none: {os.strerror(reasons[0])}", f".: {os.strerror(reasons[1])}"]


def test_numbers_and_warnings_are_printed(net, capsys, monkeypatch, tmp_path):
    path = tmp_path / "407.png"
    as_image(ink_of_number("407", width=60)).save(path)
    assert run(monkeypatch, "--number", path) == run(monkeypatch, path) == 0
    number, digit = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{re.escape(str(path))}: 407, confidence \d+\.\d%", number)
    assert digit.endswith("".join(f"; warning: {warning}" for warning in read_digit(net, path)[1]))
    assert "side by side" in digit


def start(*arguments, **options):
    """Return the process `python -m reader` with these arguments."""
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT} | options
    return subprocess.Popen([sys.executable, "-m", "reader", *map(str, arguments)], **options)


def test_any_encoding_is_printed_to(five, tmp_path):
    good, bad = tmp_path / "fünf→.png", tmp_path / "none→.png"
    as_image(five).save(good)
    printed, errors = start(bad, good, env=os.environ | {"PYTHONIOENCODING": "ascii"}).communicate()
    assert "f?nf?.png: 5, confidence" in printed
    assert "none?.png: " in errors


@pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")
@pytest.mark.parametrize(("how", "status"), [("closed pipe", 141), ("Ctrl-C", 130)])
def test_the_command_can_be_stopped(how, status):
    process = start(*[SAMPLE] * 100)
    assert process.stdout.readline().endswith("%\n")
    if how == "Ctrl-C":
        process.send_signal(signal.SIGINT)
        process.stdout.read()
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == ("", status)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_reported():
    with Path("/dev/full").open("w") as full:
        errors = start(SAMPLE, stdout=full).communicate()[1]
    assert errors == "the answer cannot be written: No space left on device\n"
