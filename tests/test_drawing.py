"""The drawing in README is of `Net` as it is, and shows each layer of the reference's table."""

import re
from xml.etree import ElementTree

from helpers import ROOT

from model import Net
from tools import draw_network as drawing

SAVED = drawing.SVG.read_text(encoding="utf-8")
TABLE = (ROOT / "tests" / "table.txt").read_text(encoding="utf-8")


def words():
    return [element.text for element in ElementTree.fromstring(SAVED).iter("{http://www.w3.org/2000/svg}text")]


def test_the_saved_drawing_is_what_the_script_draws_today():
    assert drawing.draw(Net()) == SAVED


def test_it_shows_every_layer_of_the_table_with_its_parameters():
    layers = re.findall(r"(\w+)-(\d+) +\[-1, [\d, ]+\] +([\d,]+)", TABLE)
    assert len(layers) == 43
    rest = words()
    for kind, number, parameters in layers:
        rest = rest[rest.index(number) + 1 :]  # the layers stand one after another
        assert re.match(r"\d×\d " if kind == "Conv2d" else kind.removesuffix("2d"), rest[0])
        assert (rest[1] == parameters) == (parameters != "0")


def test_it_shows_the_shape_after_each_stage():
    shapes = dict(re.findall(r"-(\d+) +\[-1, ([\d, ]+)\]", TABLE))
    ends = [f"{c} × {h}×{w}" for c, h, w in (shapes[last].split(", ") for last in ("8", "18", "23", "36", "43"))]
    assert [word for word in words() if re.fullmatch(r"\d+ × \d+×\d+", word)] == ["1 × 28×28", *ends]
