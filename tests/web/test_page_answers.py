"""How drawings are read: ink, digits side by side, and warnings."""

import itertools
import re

import numpy as np
import on_page as page
import pytest
import torch

from reader import sanity_checks
from reader.classify import classify
from reader.ink import extract_ink
from reader.load_image import load_image
from reader.mnist_format import to_mnist_format

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


def buttons(browser):
    return browser.find_elements("css selector", "#answer button")


def selected(browser):
    """Return the digit that the bars show, and the index of the button that is pressed."""
    digit = browser.execute_script("return document.querySelector('#bars .first').firstChild.textContent")
    pressed = [button.get_attribute("aria-pressed") for button in buttons(browser)]
    assert pressed.count("true") == 1
    return int(digit), pressed.index("true")


# --- One digit ---


def test_digits_are_classified_as_by_the_reader(open_page, net):
    bars = "return [...document.querySelectorAll('#bars li')].map((li) => li.textContent)"
    for digit, strokes in page.STROKES.items():
        page.show(open_page, strokes)
        assert re.fullmatch(rf"Classified as {digit}, \d+% confidence\.", page.text_of(open_page, "verdict"))
        ink = extract_ink(load_image(page.ink_of(open_page)))
        ours = to_mnist_format(ink)
        theirs = torch.from_numpy(page.network_input(open_page)).view(1, 1, 28, 28)
        assert (ours.int() - theirs).abs().max() <= 1  # a value halfway between two bytes may be rounded either way
        probabilities = [float(line[1:].replace("%", "")) for line in open_page.execute_script(bars)]
        # Shown with one decimal; a byte rounded the other way has about as much effect.
        np.testing.assert_allclose(probabilities, 100 * classify(net, [ink])[0].numpy(), atol=0.2)


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
    assert np.abs(255 * (8.5 - distance).clip(0, 1) - page.ink_of(open_page)).max() < 1


# --- Several digits ---


def test_digits_side_by_side_are_a_number(open_page):
    """Sorted by position, not by time."""
    digits = [page.scaled(page.STROKES[digit], 60, (x, 140)) for x, digit in ((245, 6), (35, 2), (105, 0), (175, 4))]
    page.show(open_page, [stroke for digit in digits for stroke in digit])
    assert page.text_of(open_page, "verdict").startswith("Classified as 2046, lowest confidence ")
    assert page.text_of(open_page, "answer").startswith("2046")
    assert page.warnings_of(open_page) == []


@pytest.mark.parametrize("digit", [4, 5])
def test_separate_stroke_belongs_to_its_digit(open_page, digit):
    for strokes in page.WRITTEN[digit]:
        assert len(strokes) == 2
        page.show(open_page, strokes)
        assert page.answer_of(open_page) == str(digit)
        page.show(open_page, page.side_by_side(page.STROKES[0], strokes))
        assert page.answer_of(open_page) == f"0{digit}"


def overlapping(a, b, offset):
    """Return the strokes of the digits `a` and `b`, half the pad high; the second is `offset` units further right."""
    return [*page.scaled(page.STROKES[a], 100, (80, 140)), *page.scaled(page.STROKES[b], 100, (80 + offset, 140))]


def test_digits_that_touch_or_overlap_are_separated(open_page):
    for a, b in ((2, 3), (6, 2), (3, 8), (9, 6), (8, 2)):
        page.show(open_page, overlapping(a, b, 60))
        first, second = open_page.execute_script("return strokes.map(boundsOf)")
        assert second["left"] - first["right"] < 14  # the inks touch
        assert page.answer_of(open_page) == f"{a}{b}"


def test_close_readings_get_a_warning(open_page):
    """Between two zeros on top of each other and two beside each other, their number is in doubt."""
    answers, doubts = [], []
    for offset in range(0, 120, 10):
        page.show(open_page, overlapping(0, 0, offset))
        answers.append(page.answer_of(open_page))
        doubts.append("Warning: the number of digits may be wrong." in page.warnings_of(open_page))
    assert answers == sorted(answers)
    assert (answers[0], answers[-1]) == ("0", "00")
    assert doubts[answers.index("00") - 1] or doubts[answers.index("00")]
    assert not doubts[0]
    assert not doubts[-1]


def test_details_follow_the_digit_that_is_drawn_or_pressed(open_page):
    from selenium.webdriver.common.keys import Keys

    page.draw(open_page, page.side_by_side(page.STROKES[7], page.STROKES[3]))
    assert selected(open_page) == (3, 1)
    page.draw(open_page, [[(60, 140), (85, 140)]])  # the bar of the 7
    assert selected(open_page) == (7, 0)
    buttons(open_page)[1].click()
    assert selected(open_page) == (3, 1)
    buttons(open_page)[0].send_keys(Keys.ENTER)
    assert selected(open_page) == (7, 0)
    assert open_page.switch_to.active_element == buttons(open_page)[0]
    assert "Digit 1 of 2: 7, " in buttons(open_page)[0].get_attribute("aria-label")
    assert open_page.find_element("id", "answer").get_attribute("aria-hidden") == "false"
    page.press(open_page, "undo")
    page.press(open_page, "undo")
    assert page.answer_of(open_page) == "7"
    assert buttons(open_page) == []


def test_tap_on_a_digit_of_a_number_selects_it_and_draws_nothing(open_page):
    page.draw(open_page, page.side_by_side(page.STROKES[7], page.STROKES[3]))
    before = page.strokes_of(open_page)
    left, top, side = page.inside_of_pad(open_page)
    page.drag(open_page, (left + side / 4, top + side / 2))
    assert page.strokes_of(open_page) == before
    assert selected(open_page) == (7, 0)
    page.press(open_page, "undo")
    assert page.strokes_of(open_page) == before[:-1]


# --- Warnings ---


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


def test_dot_gets_a_warning_and_is_ignored_beside_a_digit(open_page):
    page.show(open_page, page.scaled([DOT], 3))
    assert page.warnings_of(open_page) == ["Warning: a dot is not a digit."]
    page.show(open_page, [*page.scaled(page.STROKES[3], 100, (80, 140)), *page.scaled([DOT], 3, (220, 190))])
    assert page.answer_of(open_page) == "3"
    assert page.warnings_of(open_page) == ["Warning: a dot beside the digits is ignored."]


def test_warnings_name_their_digit_and_go_with_it(open_page):
    page.show(open_page, page.side_by_side(page.STROKES[3], NO_DIGITS["×"]))
    assert any(warning.startswith("Warning, digit 2 of 2: ") for warning in page.warnings_of(open_page))
    assert not any("digit 1" in warning for warning in page.warnings_of(open_page))
    page.press(open_page, "clear")
    assert page.warnings_of(open_page) == []


def test_limits_are_the_reader_s(open_page):
    found = open_page.execute_script("return [ROTATION, MIN_STABILITY, MAX_NEIGHBOUR_HEIGHT, MAX_ASPECT_RATIO]")
    largest = [sanity_checks.MAX_FEATURES[name] for name in ("neighbour_height", "aspect_ratio")]
    assert found == [sanity_checks.ROTATION, sanity_checks.MIN_STABILITY, *largest]
