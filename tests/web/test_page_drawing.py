"""Draw on the page in a real browser: pointers, buttons and keys."""

import itertools

import numpy as np
import pytest
from on_page import (
    EMPTY,
    STROKES,
    answer_of,
    drag,
    draw,
    inside_of_pad,
    mouse,
    next_frame,
    pad_pixels,
    press,
    resize,
    screen,
    show,
    strokes_of,
    swipe,
    text_of,
    touch,
    type_on_pad,
)


def test_every_stroke_updates_answer_input_and_feature_maps(open_page):
    canvases = "return [...document.querySelectorAll('#seen, .channels canvas')].map((c) => c.toDataURL())"
    states = [(text_of(open_page, "answer"), open_page.execute_script(canvases))]
    for stroke in STROKES[4]:
        draw(open_page, [stroke])
        states.append((text_of(open_page, "answer"), open_page.execute_script(canvases)))
    assert len(states[0][1]) == 1 + 8 + 16 + 8 + 32 + 10
    for (answer, before), (next_answer, after) in itertools.pairwise(states):
        assert answer != next_answer
        assert before[0] != after[0]
        assert sum(a != b for a, b in zip(before, after, strict=True)) > 40


def test_answer_is_shown_while_drawing_and_announced_after_the_stroke(open_page):
    left, top, side = inside_of_pad(open_page)
    mouse(open_page, "Pressed", left + side / 2, top + side / 4)
    mouse(open_page, "Moved", left + side / 2, top + side * 3 / 4)
    next_frame(open_page)
    assert text_of(open_page, "answer").startswith("1")
    assert text_of(open_page, "verdict") == EMPTY
    mouse(open_page, "Released", left + side / 2, top + side * 3 / 4)
    assert text_of(open_page, "verdict").startswith("Classified as 1, ")


# --- Mouse, finger and pen ---


@pytest.mark.parametrize(("kind", "digit"), [("mouse", 2), ("touch", 3), ("pen", 4)])
def test_mouse_finger_and_pen_draw(open_page, kind, digit):
    draw(open_page, STROKES[digit], kind=kind)
    assert text_of(open_page, "verdict").startswith(f"Classified as {digit}, ")


@pytest.mark.parametrize("width", [250, 1000])
def test_stroke_follows_the_pointer_and_outside_the_edge(open_page, width):
    with screen(open_page, width, 700):
        left, top, side = inside_of_pad(open_page)
        places = [(0.5, 0.5), (0.25, 0.75), (0, 0), (1, 0), (1, 0.5), (1.1, 0.5), (1.1, 0.8), (0.5, 0.8)]
        drag(open_page, *[(left + x * side, top + y * side) for x, y in places])
        (stroke,) = strokes_of(open_page)
    np.testing.assert_allclose(stroke, np.minimum(places, 1) * 280, atol=1)


@pytest.mark.parametrize("gesture", [drag, swipe])
def test_tap_draws_a_dot(open_page, gesture):
    left, top, side = inside_of_pad(open_page)
    gesture(open_page, (left + side / 2, top + side / 2))
    assert len(strokes_of(open_page)) == 1
    pixels = pad_pixels(open_page)
    inked = np.argwhere(pixels > 127) * 280 / len(pixels)
    np.testing.assert_allclose(np.ptp(inked, axis=0), 14, atol=2)
    np.testing.assert_allclose(inked.mean(axis=0), 140, atol=1)


@pytest.mark.parametrize(("gesture", "distance"), [(drag, 100), (swipe, 8)])
def test_stroke_that_begins_outside_starts_at_the_edge(open_page, gesture, distance):
    left, top, side = inside_of_pad(open_page)
    right, middle = left + side, top + side / 2
    gesture(open_page, (right + 3 + distance, middle), *[(right - x, middle) for x in range(10, 100, 10)])
    (stroke,) = strokes_of(open_page)
    assert stroke[0][0] == pytest.approx(280, abs=10 * 280 / side)
    assert stroke[-1][0] == pytest.approx(280 * (1 - 90 / side), abs=1)


def test_margin_of_the_pad_neither_scrolls_nor_draws(open_page):
    left, top, side = inside_of_pad(open_page)
    script = "const there = document.elementFromPoint(...arguments); return getComputedStyle(there).touchAction"
    for x, y in [(-8, side / 2), (side + 8, side / 2), (side / 2, -8), (side / 2, side + 8)]:
        assert open_page.execute_script(script, left + x, top + y) == "none"
    drag(open_page, (left - 8, top + 50), (left - 6, top + 150))
    assert strokes_of(open_page) == []


def test_second_finger_is_ignored(open_page):
    left, top, _ = inside_of_pad(open_page)
    touch(open_page, "Start", (left + 80, top + 60))
    touch(open_page, "Start", (left + 80, top + 60), (left + 200, top + 60))
    for y in range(80, 240, 20):
        touch(open_page, "Move", (left + 80, top + y), (left + 200, top + y))
    touch(open_page, "End")
    (stroke,) = strokes_of(open_page)
    assert len(stroke) >= 5
    assert np.ptp(np.asarray(stroke)[:, 0]) < 5


def test_pen_replaces_the_palm_and_is_not_disturbed_by_it(open_page):
    left, top, _ = inside_of_pad(open_page)
    touch(open_page, "Start", (left + 200, top + 250))
    drag(open_page, (left + 80, top + 60), (left + 80, top + 200), pointer="pen")
    touch(open_page, "Move", (left + 210, top + 260))
    touch(open_page, "End")
    swipe(open_page, (left + 200, top + 250), (left + 200, top + 100))
    (stroke,) = strokes_of(open_page)
    assert np.ptp(np.asarray(stroke)[:, 0]) < 5
    open_page.execute_script("hand.penTime -= PALM_TIME")  # a while later
    swipe(open_page, (left + 200, top + 100), (left + 200, top + 250))
    assert len(strokes_of(open_page)) == 2


def test_cancelled_touch_ends_the_stroke(open_page):
    left, top, _ = inside_of_pad(open_page)
    touch(open_page, "Start", (left + 80, top + 60))
    touch(open_page, "Move", (left + 80, top + 160))
    touch(open_page, "Cancel")
    assert text_of(open_page, "verdict") != EMPTY
    drag(open_page, (left + 150, top + 60), (left + 150, top + 160))
    assert len(strokes_of(open_page)) == 2


def test_resizing_the_window_during_a_stroke_keeps_the_drawing(open_page):
    with screen(open_page, 1000, 800):
        show(open_page, STROKES[4][:1])
        before = strokes_of(open_page)
        left, top, side = inside_of_pad(open_page)
        mouse(open_page, "Pressed", left + side / 2, top + side / 2)
        resize(open_page, 250, 600, pixel_ratio=2)
        left, top, side = inside_of_pad(open_page)
        for kind in ("Moved", "Released"):
            mouse(open_page, kind, left + side * 3 / 4, top + side / 4)
        *others, stroke = strokes_of(open_page)
        assert others == before
        np.testing.assert_allclose(stroke[-1], (210, 70), atol=1.5)
        pad = pad_pixels(open_page)
        assert pad.shape[0] == pytest.approx(2 * side, abs=1)
        for x, y in [*before[0], *stroke]:
            assert pad[round(y * len(pad) / 280), round(x * len(pad) / 280)] > 127


# --- Buttons and keys ---


def test_undo_removes_a_stroke_and_restores_what_was_cleared(open_page):
    press(open_page, "undo")  # nothing to undo
    draw(open_page, STROKES[4])
    both = strokes_of(open_page)
    press(open_page, "clear")
    assert not pad_pixels(open_page).any()
    assert text_of(open_page, "verdict") == EMPTY
    press(open_page, "clear")  # nothing to clear: no step to undo
    press(open_page, "undo")
    assert strokes_of(open_page) == both
    assert answer_of(open_page) == "4"
    press(open_page, "undo")
    assert strokes_of(open_page) == both[:1]


@pytest.mark.parametrize("key", ["CONTROL", "META"])
def test_control_z_undoes_regardless_of_focus(open_page, key):
    type_on_pad(open_page, *["SPACE", "ARROW_LEFT", "SPACE"] * 3)
    type_on_pad(open_page, "z", held=(key, "SHIFT"))  # elsewhere, that is redo
    assert len(strokes_of(open_page)) == 3
    for left, name in enumerate(("pad", "clear", None)):
        open_page.execute_script("document.activeElement.blur(); document.getElementById(arguments[0])?.focus()", name)
        type_on_pad(open_page, "z", held=(key,), focus=False)
        assert len(strokes_of(open_page)) == 2 - left


def test_keyboard_draws_undoes_and_clears(open_page):
    pad = open_page.find_element("id", "pad")
    type_on_pad(open_page, *["ARROW_UP"] * 9, "SPACE", *["ARROW_DOWN"] * 18, "SPACE")
    assert text_of(open_page, "verdict").startswith("Classified as 1, ")
    assert "1 stroke" in pad.get_attribute("aria-label")
    type_on_pad(open_page, "BACKSPACE")
    assert text_of(open_page, "verdict") == EMPTY
    type_on_pad(open_page, "SPACE", *["ARROW_LEFT"] * 5, "SPACE", "DELETE")
    assert text_of(open_page, "verdict") == EMPTY
    assert "no strokes" in pad.get_attribute("aria-label")


def test_keyboard_is_announced_when_the_key_is_released(open_page):
    type_on_pad(open_page, "SPACE")
    before = text_of(open_page, "verdict")
    press_key = "pad.dispatchEvent(new KeyboardEvent(arguments[0], { key: 'ArrowDown' }))"
    for _ in range(12):
        open_page.execute_script(press_key, "keydown")
    next_frame(open_page)
    assert answer_of(open_page) == "1"
    assert text_of(open_page, "verdict") == before
    open_page.execute_script(press_key, "keyup")
    assert text_of(open_page, "verdict").startswith("Classified as 1, ")


def test_undo_during_a_stroke_ends_it(open_page):
    show(open_page, STROKES[4][:1])
    first = strokes_of(open_page)
    left, top, side = inside_of_pad(open_page)
    mouse(open_page, "Pressed", left + side / 4, top + side / 4)
    mouse(open_page, "Moved", left + side / 2, top + side / 4)
    assert len(strokes_of(open_page)) == 2
    type_on_pad(open_page, "BACKSPACE")
    mouse(open_page, "Moved", left + side / 2, top + side / 2)
    mouse(open_page, "Released", left + side / 2, top + side / 2)
    assert strokes_of(open_page) == first
    draw(open_page, STROKES[4][1:])
    assert len(strokes_of(open_page)) == 2
