"""How drawings are read: ink, digits side by side, explanations and warnings."""

import itertools
import re

import numpy as np
import on_page as page
import torch

from model import load_net
from reader import sanity_checks
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.mnist_format import classify, to_mnist_format

DOT = [[0, 0], [1, 1]]
TURN = np.linspace(0, 2 * np.pi, 60)
NO_DIGITS = {
    "×": [[(50, 50), (230, 230)], [(230, 50), (50, 230)]],
    "+": [[(140, 40), (140, 240)], [(40, 140), (240, 140)]],
    "heart": [np.stack([16 * np.sin(TURN) ** 3, 5 * np.cos(2 * TURN) - 13 * np.cos(TURN)], axis=1).tolist()],
    "line": [[(50, 140), (230, 140)]],
    "equals sign": [[(50, 100), (230, 100)], [(50, 180), (230, 180)]],
    "triangle": [[(140, 50), (230, 230), (50, 230), (140, 50)]],
    "scribble": [np.random.default_rng(0).uniform(40, 240, (25, 2)).tolist()],
    "zigzag": [[(40 + 20 * i, 60 + 160 * (i % 2)) for i in range(11)]],
}
WHITE = [255, 255, 255]


def buttons(browser):
    return browser.find_elements("css selector", "#answer button")


def selected(browser):
    """Return the digit that the bars show, and the index of the button that is pressed."""
    digit = page.js(browser, "document.querySelector('#bars .first').firstChild.textContent")
    pressed = [button.get_attribute("aria-pressed") for button in buttons(browser)]
    assert pressed.count("true") == 1
    return int(digit), pressed.index("true")


def ink_of(browser):
    """Return the ink of the strokes before it is scaled for the network, uint8 [160, 160]."""
    ink = page.js(browser, "Array.from(inkOf(strokes), (ink) => Math.round(255 * ink))")
    return np.array(ink, dtype=np.uint8).reshape(160, 160)


def test_digits_are_classified_as_by_the_reader(open_page):
    bars = "[...document.querySelectorAll('#bars li')].map((li) => li.textContent)"
    pixels = "Array.from(toMnistFormat(inkOf(strokes)), (p) => Math.round(255 * p))"
    for digit, strokes in page.STROKES.items():
        page.show(open_page, strokes)
        assert re.fullmatch(rf"Classified as {digit}, \d+% confidence\.", page.text_of(open_page, "verdict"))
        ink = extract_ink(load_image(ink_of(open_page)))
        theirs = torch.tensor(page.js(open_page, pixels)).view(1, 1, 28, 28)
        # A value halfway between two bytes may be rounded either way.
        assert (to_mnist_format(ink).int() - theirs).abs().max() <= 1
        probabilities = [float(line[1:].replace("%", "")) for line in page.js(open_page, bars)]
        # Shown with one decimal; a byte rounded the other way has about as much effect.
        np.testing.assert_allclose(probabilities, 100 * classify(load_net(), [ink])[0].numpy(), atol=0.2)


def test_ink_is_what_a_round_pen_covers(open_page):
    """Compared with the distance of every pixel to every segment, computed by NumPy."""
    page.show(open_page, page.STROKES[4])
    points = [np.array(stroke) for stroke in page.STROKES[4]]
    low, high = (function(np.concatenate(points), axis=0) for function in (np.min, np.max))
    scale = 144 / (high - low).max()  # the square of 160 pixels without the pen, 16 pixels wide
    pixels = np.stack(np.meshgrid(*[np.arange(160) + 0.5] * 2), axis=-1)
    distance = np.full((160, 160), np.inf)
    for stroke in points:
        for start, end in itertools.pairwise(80 + scale * (stroke - (low + high) / 2)):
            along = ((pixels - start) @ (end - start) / max(1e-9, ((end - start) ** 2).sum())).clip(0, 1)
            offset = pixels - start - along[..., None] * (end - start)
            distance = np.minimum(distance, np.linalg.norm(offset, axis=-1))
    assert np.abs(255 * (8.5 - distance).clip(0, 1) - ink_of(open_page)).max() < 1


def test_digits_side_by_side_are_a_number(open_page):
    """Sorted by position, not by time. The 4 has two strokes."""
    digits = [page.scaled(page.STROKES[digit], 60, (x, 140)) for x, digit in ((245, 6), (35, 2), (105, 0), (175, 4))]
    page.show(open_page, [stroke for digit in digits for stroke in digit])
    assert page.text_of(open_page, "verdict").startswith("Classified as 2046, lowest confidence ")
    assert page.text_of(open_page, "answer").startswith("2046")
    assert page.warnings_of(open_page) == []


def overlapping(a, b, offset):
    """Return the strokes of the digits `a` and `b`, half the pad high; the second is `offset` units further right."""
    return [*page.scaled(page.STROKES[a], 100, (80, 140)), *page.scaled(page.STROKES[b], 100, (80 + offset, 140))]


def test_digits_that_touch_or_overlap_are_separated(open_page):
    for a, b in ((2, 3), (6, 2), (3, 8), (9, 6), (8, 2)):
        page.show(open_page, overlapping(a, b, 60))
        first, second = page.js(open_page, "strokes.map(boundsOf)")
        assert second["left"] - first["right"] < 14  # the inks touch
        assert page.answer_of(open_page) == f"{a}{b}"


def test_close_readings_get_a_warning(open_page):
    """Between two zeros on top of each other and two beside each other, their number is in doubt."""
    readings = []
    for offset in range(0, 120, 10):
        page.show(open_page, overlapping(0, 0, offset))
        doubt = "Warning: the number of digits may be wrong." in page.warnings_of(open_page)
        readings.append((page.answer_of(open_page), doubt))
    assert (readings[0], readings[-1]) == (("0", False), ("00", False))
    assert {("0", True), ("00", True)} & set(readings)


def test_details_follow_the_digit_that_is_drawn_pressed_or_tapped(open_page):
    page.draw(open_page, page.side_by_side(page.STROKES[7], page.STROKES[3]))
    assert selected(open_page) == (3, 1)
    page.draw(open_page, [[(60, 140), (85, 140)]])  # the bar of the 7
    assert selected(open_page) == (7, 0)
    buttons(open_page)[1].click()
    assert selected(open_page) == (3, 1)
    before = page.js(open_page, "strokes")
    page.draw(open_page, [[(70, 140)]])
    assert selected(open_page) == (7, 0)
    assert page.js(open_page, "strokes") == before
    assert "Digit 1 of 2: 7, " in buttons(open_page)[0].get_attribute("aria-label")
    assert open_page.find_element("id", "answer").get_attribute("aria-hidden") == "false"
    page.press(open_page, "undo")
    page.press(open_page, "undo")
    assert page.answer_of(open_page) == "7"
    assert buttons(open_page) == []


def test_why_marks_the_ink_that_decides(open_page):
    """Without the ink that it marks, the digit is read as it says."""
    page.show(open_page, page.STROKES[3])
    page.press(open_page, "why")
    ((turn, points),) = page.js(open_page, "turns.map(({ answer, points }) => [answer, points])")
    sentence = rf"It would be {turn} without its (top|middle|right|top right)\.$"
    assert re.search(sentence, page.text_of(open_page, "reason"))
    assert page.colour_at(open_page, *points[0]) == [255, 149, 0]
    (stroke,) = page.STROKES[3]
    hidden = np.flatnonzero(np.linalg.norm(np.array(stroke) - points[len(points) // 2], axis=1) < 30)
    rest = [stroke[: hidden[0]], stroke[hidden[-1] + 1 :]]
    assert page.js(open_page, "classifyDigit(arguments[0]).answer", rest) == turn
    page.press(open_page, "why")
    assert page.colour_at(open_page, *points[0]) == WHITE
    assert page.text_of(open_page, "reason") == ""


def test_why_explains_the_digit_that_is_shown_after_each_stroke(open_page):
    page.press(open_page, "why")
    page.draw(open_page, page.side_by_side(page.STROKES[7], page.STROKES[1]))
    assert page.text_of(open_page, "reason").endswith("the 1 depends on it. No single piece decides.")
    seven, one = (stroke[5] for stroke in page.js(open_page, "strokes"))
    assert page.colour_at(open_page, *seven) == WHITE != page.colour_at(open_page, *one)
    buttons(open_page)[0].click()
    assert page.colour_at(open_page, *one) == WHITE != page.colour_at(open_page, *seven)
    assert "the 7 depends on it" in page.text_of(open_page, "reason")
    page.move(open_page, (50, 200), (60, 200), up=False)
    page.next_frame(open_page)
    assert page.colour_at(open_page, *seven) == WHITE  # not at every point of a stroke
    page.move(open_page, (60, 200), down=False)
    page.press(open_page, "clear")
    assert page.text_of(open_page, "reason") == ""


def test_digits_of_any_size_are_classified_without_a_warning(open_page):
    for digit, size in itertools.product(range(10), (24, 260)):
        page.show(open_page, page.scaled(page.STROKES[digit], size))
        assert page.answer_of(open_page) == str(digit), size
        assert page.warnings_of(open_page) == [], (digit, size)


def test_drawing_that_is_no_digit_gets_a_warning(open_page):
    for name, size in itertools.product(NO_DIGITS, (60, 220)):
        page.show(open_page, page.scaled(NO_DIGITS[name], size))
        assert page.warnings_of(open_page), (name, size)
        assert ("Warning: this is wide for one digit." in page.warnings_of(open_page)) == (name == "line")
    page.show(open_page, page.side_by_side(page.STROKES[3], NO_DIGITS["×"]))
    assert {warning[:24] for warning in page.warnings_of(open_page)} == {"Warning, digit 2 of 2: t"}
    page.press(open_page, "clear")
    assert page.warnings_of(open_page) == []


def test_dot_gets_a_warning_and_is_ignored_beside_a_digit(open_page):
    page.show(open_page, page.scaled([DOT], 3))
    assert page.warnings_of(open_page) == ["Warning: a dot is not a digit."]
    page.show(open_page, [*page.scaled(page.STROKES[3], 100, (80, 140)), *page.scaled([DOT], 3, (220, 190))])
    assert page.answer_of(open_page) == "3"
    assert page.warnings_of(open_page) == ["Warning: a dot beside the digits is ignored."]


def test_limits_are_the_reader_s(open_page):
    found = page.js(open_page, "[ROTATION, MIN_STABILITY, MAX_ASPECT_RATIO]")
    assert found == [sanity_checks.ROTATION, sanity_checks.MIN_STABILITY, sanity_checks.MAX_FEATURES["aspect_ratio"]]
