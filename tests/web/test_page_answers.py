"""Several digits and warnings: what the page answers to drawings that are not one digit."""

import itertools

import numpy as np
import pytest
from on_page import (
    draw,
    ink_in_box,
    inside_of_pad,
    mouse,
    network_input,
    next_frame,
    scaled,
    show,
    side_by_side,
    strokes_of,
    text_of,
    warnings_of,
)

from experiments.synthetic_photos import STROKES, smooth
from reader import sanity_checks
from reader.shape_features import shape_features

DOT = [[0, 0], [1, 1]]
FIVE_WITH_BAR = [[(170, 60), (100, 60)], smooth([(100, 60), (95, 130), (160, 135), (165, 210), (90, 220)]).tolist()]
SEPARATE_BAR = {4: STROKES[4], 5: FIVE_WITH_BAR, 7: [[(80, 60), (190, 60), (120, 230)], [(95, 145), (190, 145)]]}
HALF_HEART = [(0, 0), (30, -40), (90, -30), (90, 30), (50, 90), (0, 140)]
NO_DIGITS = {
    "×": [[(50, 50), (230, 230)], [(230, 50), (50, 230)]],
    "+": [[(140, 40), (140, 240)], [(40, 140), (240, 140)]],
    "heart": [np.concatenate([smooth(HALF_HEART), smooth(HALF_HEART)[::-1] * [-1, 1]]).tolist()],
    "triangle": [[(140, 50), (230, 230), (50, 230), (140, 50)]],
    "scribble": [smooth(np.random.default_rng(0).uniform(40, 240, (20, 2)).tolist()).tolist()],
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


# --- Several digits ---


def test_digits_side_by_side_are_a_number(open_page):
    """Sorted by position, not by time."""
    digits = [scaled(STROKES[digit], 60, (x, 140)) for x, digit in ((245, 6), (35, 2), (105, 0), (175, 4))]
    show(open_page, [stroke for digit in digits for stroke in digit])
    assert text_of(open_page, "verdict").startswith("Classified as 2046, lowest confidence ")
    assert text_of(open_page, "answer").startswith("2046")
    assert warnings_of(open_page) == []


def test_each_digit_of_a_number_is_seen_as_if_it_were_alone(open_page):
    show(open_page, STROKES[4])
    alone = network_input(open_page).astype(int)
    show(open_page, side_by_side(STROKES[8], STROKES[4]))
    pixels = open_page.execute_script("return Array.from(digits[1].pixels, (p) => Math.round(255 * p))")
    assert np.abs(np.reshape(pixels, (28, 28)) - alone).max() <= 8  # antialiasing in steps of 1/16 pixel


@pytest.mark.parametrize("digit", SEPARATE_BAR)
def test_separate_bar_belongs_to_its_digit(open_page, digit):
    show(open_page, SEPARATE_BAR[digit])
    assert text_of(open_page, "verdict").startswith(f"Classified as {digit}, ")
    assert warnings_of(open_page) == []
    show(open_page, side_by_side(STROKES[0], SEPARATE_BAR[digit]))
    assert text_of(open_page, "verdict").startswith(f"Classified as 0{digit}, ")


def test_bars_follow_the_digit_drawn_last(open_page):
    draw(open_page, side_by_side(STROKES[7], STROKES[3]))
    assert selected(open_page) == (3, 1)
    draw(open_page, [[(60, 130), (85, 130)]])  # the bar of the 7
    assert selected(open_page) == (7, 0)
    open_page.find_element("id", "undo").click()
    open_page.find_element("id", "undo").click()
    assert text_of(open_page, "answer").startswith("7")
    assert buttons(open_page) == []


def test_bars_follow_the_digit_of_the_answer_that_is_pressed(open_page):
    from selenium.webdriver.common.keys import Keys

    show(open_page, side_by_side(STROKES[7], STROKES[3]))
    buttons(open_page)[0].click()
    assert selected(open_page) == (7, 0)
    buttons(open_page)[1].send_keys(Keys.ENTER)
    assert selected(open_page) == (3, 1)
    assert open_page.switch_to.active_element == buttons(open_page)[1]
    assert "Digit 2 of 2: 3, " in buttons(open_page)[1].get_attribute("aria-label")
    assert open_page.find_element("id", "answer").get_attribute("aria-hidden") == "false"


def test_tap_on_a_digit_of_a_number_selects_it_and_draws_nothing(open_page):
    draw(open_page, side_by_side(STROKES[7], STROKES[3]))
    before = strokes_of(open_page)
    left, top, side = inside_of_pad(open_page)
    for kind in ("Pressed", "Released"):
        mouse(open_page, kind, left + side / 4, top + side / 2)
    assert strokes_of(open_page) == before
    assert selected(open_page) == (7, 0)
    open_page.find_element("id", "undo").click()
    assert strokes_of(open_page) == before[:-1]


# --- Warnings ---


def test_digits_of_any_size_are_classified_without_a_warning(open_page):
    for digit, size in itertools.product(range(10), (24, 260)):
        show(open_page, scaled([smooth(stroke) for stroke in STROKES[digit]], size))
        assert text_of(open_page, "verdict").startswith(f"Classified as {digit}, "), size
        assert warnings_of(open_page) == [], (digit, size)


def test_drawing_that_is_no_digit_gets_a_warning(open_page):
    for name, size in itertools.product(NO_DIGITS, (60, 220)):
        show(open_page, scaled(NO_DIGITS[name], size))
        assert warnings_of(open_page), (name, size)


def test_dot_gets_a_warning_and_is_ignored_beside_a_digit(open_page):
    show(open_page, scaled([DOT], 3))
    assert warnings_of(open_page) == ["Warning: a dot is not a digit."]
    show(open_page, [*scaled(STROKES[3], 100, (80, 140)), *scaled([DOT], 3, (220, 190))])
    assert text_of(open_page, "verdict").startswith("Classified as 3, ")
    assert warnings_of(open_page) == ["Warning: a dot beside the digits is ignored."]


def test_parts_that_overlap_a_little_get_a_warning(open_page):
    """Two slanted ones that share a few columns of the pad."""
    show(open_page, [[(160, 60), (100, 220)], [(215, 60), (155, 220)]])
    assert "Warning: parts lie side by side; it may be more than one digit." in warnings_of(open_page)


def test_rotation_warns_as_the_reader_does(open_page, net):
    limit = open_page.execute_script("return MIN_STABILITY")
    generator, seen = np.random.default_rng(0), set()
    for _ in range(20):
        show(open_page, [smooth(generator.uniform(60, 220, (4, 2)).tolist()).tolist()])
        digit, stability = sanity_checks.rotation_stability(net, ink_in_box(open_page) / 255)
        if abs(stability - limit) > 0.2:  # the page rotates strokes, the reader pixels
            expected = stability < limit
            rotated = f"Warning: rotated by ±8°, the mean confidence in {digit} is only "
            assert any(warning.startswith(rotated) for warning in warnings_of(open_page)) == expected
            seen.add(expected)
    assert seen == {False, True}


def test_warning_names_the_digit_of_a_number(open_page):
    show(open_page, side_by_side(STROKES[3], NO_DIGITS["×"]))
    assert any(warning.startswith("Warning, digit 2 of 2: ") for warning in warnings_of(open_page))
    assert not any("digit 1" in warning for warning in warnings_of(open_page))


def test_warnings_are_announced_after_the_stroke_and_removed_by_clear(open_page):
    assert open_page.find_element("id", "warnings").get_attribute("aria-live") == "polite"
    draw(open_page, NO_DIGITS["×"][:1])
    left, top, side = inside_of_pad(open_page)
    mouse(open_page, "Pressed", left + side * 0.8, top + side * 0.2)
    mouse(open_page, "Moved", left + side * 0.2, top + side * 0.8)
    next_frame(open_page)
    before = warnings_of(open_page)
    mouse(open_page, "Released", left + side * 0.2, top + side * 0.8)
    assert warnings_of(open_page) != before
    open_page.find_element("id", "clear").click()
    assert warnings_of(open_page) == []


def test_warnings_use_the_limits_of_the_reader(open_page):
    found = open_page.execute_script("return [ROTATION, MAX_NEIGHBOUR_HEIGHT]")
    limits = sanity_checks.ROTATION, sanity_checks.MAX_FEATURES["neighbour_height"]
    assert tuple(found) == limits


def test_neighbour_height_equals_the_reader_s(open_page):
    for strokes in (
        [[(60, 60), (60, 220)], [(200, 100), (200, 190)]],  # apart
        [[(60, 60), (60, 220), (140, 220)], [(120, 80), (200, 80), (200, 170)]],  # overlapping
        [[(60, 60), (200, 60)], [(60, 200), (200, 200)]],  # one above the other
    ):
        show(open_page, strokes)
        found = open_page.execute_script("return neighbourHeight(inkInBox(strokes))")
        expected = shape_features(ink_in_box(open_page) / 255)["neighbour_height"]
        assert found == pytest.approx(expected, abs=0.05)  # the reader widens strokes
