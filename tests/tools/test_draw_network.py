"""images/network.svg shows the present `Net`."""

from model import Net
from tools import draw_network


def test_saved_drawing_matches_the_model():
    assert draw_network.draw(Net()) == draw_network.SVG.read_text(encoding="utf-8")
