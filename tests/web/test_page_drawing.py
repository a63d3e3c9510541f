"""Drawing on the page, in a real browser: what each pointer, button and key does, and how a drawing is classified."""

import itertools
import re

import numpy as np
import pytest
import torch
from helpers import draw
from on_page import (
    BLANK,
    ink_in_box,
    inside_of_pad,
    mouse,
    resize,
    screen,
    seen,
    shown_on_pad,
    strokes_of,
    text_of,
    touch,
)

from reader import digit as picture
from reader.samples.synthetic_photos import STROKES, smooth


def press(browser, name):
    browser.find_element("id", name).click()


def keys(browser, *sequence):
    from selenium.webdriver import ActionChains

    ActionChains(browser).send_keys(*sequence).perform()


def chord(browser, *modifiers):
    """Press z while `modifiers` are held."""
    from selenium.webdriver import ActionChains

    hand = ActionChains(browser)
    for key in modifiers:
        hand.key_down(key)
    hand.send_keys("z")
    for key in modifiers:
        hand.key_up(key)
    hand.perform()


def focus_pad(browser):
    browser.execute_script("pad.focus()")


def shrunk(strokes, height):
    """Return `strokes` so that they are `height` of the pad's 280 units high, or wide where that is more."""
    points = np.concatenate([np.asarray(stroke, dtype=float) for stroke in strokes])
    low, high = points.min(axis=0), points.max(axis=0)
    scale = height / (high - low).max()
    return [(140 + scale * (np.asarray(stroke) - (low + high) / 2)).tolist() for stroke in strokes]


# --- How it is classified ---


@pytest.mark.parametrize("digit", range(10))
def test_a_drawn_digit_is_classified_as_predict_does(open_page, net, digit):
    draw(open_page, STROKES[digit])
    assert re.fullmatch(rf"Classified as {digit}, \d+ % sure\.", text_of(open_page, "verdict"))
    ink = ink_in_box(open_page)
    ours = picture.center_ink(picture.find_ink(picture.read_picture(ink)))
    theirs = torch.from_numpy(seen(open_page).copy()).view(1, 1, 28, 28)
    assert (ours.int() - theirs).abs().max() <= 1  # where a value lies in the middle between two bytes
    shown = open_page.execute_script("return [...document.querySelectorAll('#bars li')].map((li) => li.textContent)")
    chances = [float(line[1:].replace("%", "")) for line in shown]
    # They are shown to a tenth of a per cent, and such a byte moves them by as little.
    np.testing.assert_allclose(chances, 100 * picture.predict(net, ink).numpy(), atol=0.2)


@pytest.mark.parametrize("height", [24, 38, 47, 95, 190, 260])
def test_a_digit_of_any_size_is_classified_right(open_page, height):
    found = []
    for digit in range(10):
        draw(open_page, shrunk(STROKES[digit], height))
        found.append(text_of(open_page, "verdict")[:15])
        press(open_page, "clear")
    assert found == [f"Classified as {digit}" for digit in range(10)]


@pytest.mark.parametrize("digit", [1, 4, 8])
def test_what_the_network_sees_depends_on_neither_size_nor_place(open_page, digit):
    curves = [smooth(stroke) for stroke in STROKES[digit]]
    pictures = []
    for scale, x, y in [(1, 0, 0), (0.5, 100, 7), (0.2, 3, 220), (0.1, 250, 250)]:
        open_page.execute_script("strokes = arguments[0]", [(scale * curve + [x, y]).tolist() for curve in curves])
        pictures.append(seen(open_page).astype(int))
    for other in pictures[1:]:  # an edge of ink falls on other sixteenths of a pixel: a few bytes of 255
        assert np.abs(other - pictures[0]).max() <= 8


def test_the_pen_is_two_of_mnists_pixels_thick(open_page):
    for length in (20, 200):
        open_page.execute_script("strokes = [[[10, 10], [10, 10 + arguments[0]]]]", length)
        ink = seen(open_page).astype(float) / 255
        assert (ink.sum(axis=1).max(), ink.max(axis=1).sum()) == (pytest.approx(2, abs=0.1), pytest.approx(20, abs=0.7))


def test_every_stroke_changes_answer_bars_picture_and_maps(open_page):
    canvases = "return [...document.querySelectorAll('#seen, .channels canvas')].map((c) => c.toDataURL())"
    states = [open_page.execute_script(canvases)]
    answers = [text_of(open_page, "answer")]
    for stroke in STROKES[4]:
        draw(open_page, [stroke])
        states.append(open_page.execute_script(canvases))
        answers.append(text_of(open_page, "answer"))
    assert len(states[0]) == 1 + 8 + 16 + 8 + 32 + 10
    for before, after in itertools.pairwise(states):
        assert before[0] != after[0]
        assert sum(a != b for a, b in zip(before, after, strict=True)) > 40
    assert len(set(answers)) == len(answers)
    assert re.fullmatch(r"4\d+ % sure", answers[-1])


def test_the_answer_comes_while_one_draws_and_is_spoken_after_the_stroke(open_page):
    left, top, side = inside_of_pad(open_page)
    mouse(open_page, "Pressed", left + side / 2, top + side / 4)
    mouse(open_page, "Moved", left + side / 2, top + side * 3 / 4)
    open_page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert text_of(open_page, "answer").startswith("1")
    assert text_of(open_page, "verdict") == BLANK
    mouse(open_page, "Released", left + side / 2, top + side * 3 / 4)
    assert text_of(open_page, "verdict").startswith("Classified as 1, ")


def test_the_bars_are_as_long_as_the_chances(open_page):
    draw(open_page, [STROKES[5][0][:6]])
    script = """
        return [...document.querySelectorAll('#bars li')].map((li) => [
          li.querySelector('.bar').getBoundingClientRect().width / li.querySelector('.track').clientWidth,
          parseFloat(li.lastChild.textContent) / 100])
    """
    for width, chance in open_page.execute_script(script):
        assert width == pytest.approx(chance, abs=0.01)


# --- Mouse, finger and pen ---


@pytest.mark.parametrize(("kind", "digit"), [("touch", 3), ("pen", 4)])
def test_a_finger_and_a_pen_draw_too(open_page, kind, digit):
    draw(open_page, STROKES[digit], kind=kind)
    assert text_of(open_page, "verdict").startswith(f"Classified as {digit}, ")


@pytest.mark.parametrize("width", [250, 333, 1000])
def test_a_stroke_is_where_the_pointer_is(open_page, width):
    """Within half a unit of the pad's 280, in its corners too, whatever its size and for all its border."""
    with screen(open_page, width, 700):
        left, top, side = inside_of_pad(open_page)
        places = [(140, 140), (70, 210), (0, 0), (280, 0), (280, 280), (0, 280)]
        for i, (x, y) in enumerate(places):
            mouse(open_page, "Moved" if i else "Pressed", left + x * side / 280, top + y * side / 280)
        mouse(open_page, "Released", left, top + side)
        (stroke,) = strokes_of(open_page)
    np.testing.assert_allclose(stroke, places, atol=0.5)


@pytest.mark.parametrize("kind", ["mouse", "touch"])
def test_a_tap_leaves_a_dot(open_page, kind):
    left, top, side = inside_of_pad(open_page)
    place = left + side / 2, top + side / 2
    if kind == "mouse":
        mouse(open_page, "Pressed", *place)
        mouse(open_page, "Released", *place)
    else:
        touch(open_page, "Start", place)
        touch(open_page, "End")
    assert len(strokes_of(open_page)) == 1
    inked = np.argwhere(shown_on_pad(open_page) > 127) * 280 / shown_on_pad(open_page).shape[0]
    np.testing.assert_allclose(np.ptp(inked, axis=0), 14, atol=2)
    np.testing.assert_allclose(inked.mean(axis=0), 140, atol=1)
    assert (seen(open_page) > 0).sum() == 4  # of the network's pixels, the pen of a whole digit
    assert text_of(open_page, "verdict") != BLANK
    press(open_page, "undo")
    assert not shown_on_pad(open_page).any()
    assert text_of(open_page, "verdict") == BLANK


@pytest.mark.parametrize(("kind", "away"), [("mouse", 1), ("touch", 8), ("mouse", 100)])
def test_a_stroke_that_begins_outside_counts_from_the_edge(open_page, kind, away):
    left, top, side = inside_of_pad(open_page)
    right, middle = left + side, top + side / 2
    places = [(right + 3 + away, middle)] + [(right - x, middle) for x in range(10, 100, 10)]
    for i, place in enumerate(places):
        if kind == "mouse":
            mouse(open_page, "Moved" if i else "Pressed", *place)
        else:
            touch(open_page, "Move" if i else "Start", place)
    if kind == "mouse":
        mouse(open_page, "Released", *places[-1])
    else:
        touch(open_page, "End")
    (stroke,) = strokes_of(open_page)
    assert stroke[0][0] == pytest.approx(280, abs=10 * 280 / side)
    assert stroke[-1][0] == pytest.approx(280 * (1 - 90 / side), abs=1)


def test_around_the_pad_a_finger_draws_and_does_not_scroll(open_page):
    """Chromium takes a finger that is as near for one on the pad anyhow; other browsers do not."""
    left, top, side = inside_of_pad(open_page)
    script = (
        "const there = document.elementFromPoint(...arguments); return [there.id, getComputedStyle(there).touchAction]"
    )
    for x, y in [(-8, side / 2), (side + 8, side / 2), (side / 2, -8), (side / 2, side + 8)]:
        assert open_page.execute_script(script, left + x, top + y) == ["board", "none"]


def test_what_never_comes_onto_the_pad_is_no_stroke(open_page):
    left, top, _ = inside_of_pad(open_page)
    mouse(open_page, "Pressed", left - 8, top + 50)
    mouse(open_page, "Moved", left - 6, top + 150)
    mouse(open_page, "Released", left - 6, top + 150)
    assert strokes_of(open_page) == []
    assert text_of(open_page, "verdict") == BLANK


def test_a_stroke_over_the_edge_and_back_stays_one_and_on_the_pad(open_page):
    left, top, side = inside_of_pad(open_page)
    for i, (x, y) in enumerate([(0.5, 0.5), (1.3, 0.5), (1.3, 0.8), (0.5, 0.8)]):
        mouse(open_page, "Moved" if i else "Pressed", left + x * side, top + y * side)
    mouse(open_page, "Released", left + side / 2, top + side / 2)
    (stroke,) = strokes_of(open_page)
    np.testing.assert_allclose(stroke, [(140, 140), (280, 140), (280, 224), (140, 224)], atol=1)


def test_a_second_finger_is_left_out(open_page):
    left, top, _ = inside_of_pad(open_page)
    touch(open_page, "Start", (left + 80, top + 60))
    touch(open_page, "Start", (left + 80, top + 60), (left + 200, top + 60))
    for y in range(80, 240, 20):
        touch(open_page, "Move", (left + 80, top + y), (left + 200, top + y))
    touch(open_page, "End")
    (stroke,) = strokes_of(open_page)
    assert len(stroke) >= 5
    assert np.ptp(np.asarray(stroke)[:, 0]) < 5


def test_a_stroke_that_the_system_cancels_ends_there(open_page):
    left, top, _ = inside_of_pad(open_page)
    touch(open_page, "Start", (left + 80, top + 60))
    touch(open_page, "Move", (left + 80, top + 160))
    touch(open_page, "Cancel")
    (stroke,) = strokes_of(open_page)
    assert len(stroke) == 2
    assert text_of(open_page, "verdict") != BLANK
    draw(open_page, STROKES[7])
    assert len(strokes_of(open_page)) == 2


def test_a_window_of_another_size_keeps_the_drawing(open_page):
    """In the middle of a stroke too, which goes on where the pointer is on the pad as it is then."""
    with screen(open_page, 1000, 800):
        draw(open_page, STROKES[4][:1])
        before = strokes_of(open_page)
        left, top, side = inside_of_pad(open_page)
        mouse(open_page, "Pressed", left + side / 2, top + side / 2)
        resize(open_page, 250, 600, sharpness=2)
        left, top, side = inside_of_pad(open_page)
        mouse(open_page, "Moved", left + side * 3 / 4, top + side / 4)
        mouse(open_page, "Released", left + side * 3 / 4, top + side / 4)
        *others, stroke = strokes_of(open_page)
        assert others == before
        np.testing.assert_allclose(stroke, [(140, 140), (210, 70)], atol=1.5)
        pad = shown_on_pad(open_page)
        assert pad.shape[0] == pytest.approx(2 * side, abs=1)
        for x, y in [*before[0], *stroke]:
            assert pad[round(y * len(pad) / 280), round(x * len(pad) / 280)] > 127


# --- Buttons and keys ---


def test_undo_takes_back_a_stroke_and_clear_all(open_page):
    assert text_of(open_page, "verdict") == BLANK
    press(open_page, "undo")
    draw(open_page, STROKES[4][:1])
    one = shown_on_pad(open_page)
    draw(open_page, STROKES[4][1:])
    assert (shown_on_pad(open_page) != one).any()
    press(open_page, "undo")
    assert (shown_on_pad(open_page) == one).all()
    press(open_page, "clear")
    assert not shown_on_pad(open_page).any()
    assert text_of(open_page, "verdict") == BLANK
    widths = open_page.execute_script("return [...document.querySelectorAll('.bar')].map((b) => b.style.width)")
    assert set(widths) == {"0%"}


def test_undo_after_clear_brings_the_drawing_back(open_page):
    draw(open_page, STROKES[4])
    before = strokes_of(open_page)
    press(open_page, "clear")
    press(open_page, "clear")  # of nothing: it is no step to undo
    press(open_page, "undo")
    assert strokes_of(open_page) == before
    assert text_of(open_page, "verdict").startswith("Classified as 4, ")
    press(open_page, "undo")
    assert strokes_of(open_page) == before[:-1]


@pytest.mark.parametrize("key", ["CONTROL", "META"])
def test_control_z_undoes_wherever_the_focus_is(open_page, key):
    from selenium.webdriver.common.keys import Keys

    draw(open_page, STROKES[4])
    count = len(strokes_of(open_page))
    chord(open_page, getattr(Keys, key), Keys.SHIFT)
    assert len(strokes_of(open_page)) == count  # elsewhere, that is redo
    for element in ("pad", "clear", None):
        open_page.execute_script(
            "document.activeElement.blur(); document.getElementById(arguments[0])?.focus()", element
        )
        chord(open_page, getattr(Keys, key))
        count = max(0, count - 1)
        assert len(strokes_of(open_page)) == count


def test_the_keyboard_draws_undoes_and_clears(open_page):
    from selenium.webdriver.common.keys import Keys

    pad = open_page.find_element("id", "pad")
    focus_pad(open_page)
    keys(open_page, *[Keys.ARROW_UP] * 9, Keys.SPACE, *[Keys.ARROW_DOWN] * 18, Keys.SPACE)
    assert text_of(open_page, "verdict").startswith("Classified as 1, ")
    assert "1 stroke" in pad.get_attribute("aria-label")
    keys(open_page, Keys.BACKSPACE)
    assert text_of(open_page, "verdict") == BLANK
    keys(open_page, Keys.SPACE, *[Keys.ARROW_LEFT] * 5, Keys.SPACE, Keys.DELETE)
    assert text_of(open_page, "verdict") == BLANK
    assert "no strokes" in pad.get_attribute("aria-label")


def test_undo_in_the_middle_of_a_stroke_ends_it(open_page):
    from selenium.webdriver.common.keys import Keys

    draw(open_page, STROKES[4][:1])
    first = strokes_of(open_page)
    left, top, side = inside_of_pad(open_page)
    mouse(open_page, "Pressed", left + side / 4, top + side / 4)
    mouse(open_page, "Moved", left + side / 2, top + side / 4)
    assert len(strokes_of(open_page)) == 2
    focus_pad(open_page)
    keys(open_page, Keys.BACKSPACE)
    mouse(open_page, "Moved", left + side / 2, top + side / 2)
    mouse(open_page, "Released", left + side / 2, top + side / 2)
    assert strokes_of(open_page) == first
    draw(open_page, STROKES[4][1:])
    assert len(strokes_of(open_page)) == 2


def test_a_mouse_stroke_lifts_the_keyboard_s_pen(open_page):
    from selenium.webdriver.common.keys import Keys

    focus_pad(open_page)
    keys(open_page, Keys.SPACE, Keys.ARROW_LEFT)
    draw(open_page, STROKES[7])
    before = strokes_of(open_page)
    assert len(before) == 2
    keys(open_page, Keys.ARROW_LEFT)
    assert strokes_of(open_page) == before
