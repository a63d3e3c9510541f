"""Draw on the page in a real browser: pointers, buttons and keys."""

import itertools

import numpy as np
import on_page as page
import pytest


def test_every_stroke_updates_answer_input_and_feature_maps(open_page):
    canvases = "return [...document.querySelectorAll('#seen, .channels canvas')].map((c) => c.toDataURL())"
    states = [(page.text_of(open_page, "answer"), open_page.execute_script(canvases))]
    for stroke in page.STROKES[4]:
        page.draw(open_page, [stroke])
        states.append((page.text_of(open_page, "answer"), open_page.execute_script(canvases)))
    assert len(states[0][1]) == 1 + 8 + 16 + 8 + 32 + 10
    for (answer, before), (next_answer, after) in itertools.pairwise(states):
        assert answer != next_answer
        assert before[0] != after[0]
        assert sum(a != b for a, b in zip(before, after, strict=True)) > 40


def test_answer_is_shown_while_drawing_and_announced_after_the_stroke(open_page):
    left, top, side = page.inside_of_pad(open_page)
    page.mouse(open_page, "Pressed", left + side / 2, top + side / 4)
    page.mouse(open_page, "Moved", left + side / 2, top + side * 3 / 4)
    page.next_frame(open_page)
    assert page.text_of(open_page, "answer").startswith("1")
    assert page.text_of(open_page, "verdict") == page.EMPTY
    page.mouse(open_page, "Released", left + side / 2, top + side * 3 / 4)
    assert page.text_of(open_page, "verdict").startswith("Classified as 1, ")


# --- Mouse, finger and pen ---


@pytest.mark.parametrize(("kind", "digit"), [("mouse", 2), ("touch", 3), ("pen", 4)])
def test_mouse_finger_and_pen_draw(open_page, kind, digit):
    page.draw(open_page, page.STROKES[digit], kind=kind)
    assert page.text_of(open_page, "verdict").startswith(f"Classified as {digit}, ")


@pytest.mark.parametrize("width", [250, 1000])
def test_stroke_follows_the_pointer_and_outside_the_edge(open_page, width):
    with page.screen(open_page, width, 700):
        left, top, side = page.inside_of_pad(open_page)
        places = [(0.5, 0.5), (0.25, 0.75), (0, 0), (1, 0), (1, 0.5), (1.1, 0.5), (1.1, 0.8), (0.5, 0.8)]
        page.drag(open_page, *[(left + x * side, top + y * side) for x, y in places])
        (stroke,) = page.strokes_of(open_page)
    np.testing.assert_allclose(stroke, np.minimum(places, 1) * 280, atol=1)


@pytest.mark.parametrize(("gesture", "distance"), [(page.drag, 100), (page.swipe, 8)])
def test_stroke_that_begins_outside_starts_at_the_edge(open_page, gesture, distance):
    left, top, side = page.inside_of_pad(open_page)
    right, middle = left + side, top + side / 2
    gesture(open_page, (right + 3 + distance, middle), *[(right - x, middle) for x in range(10, 100, 10)])
    (stroke,) = page.strokes_of(open_page)
    assert stroke[0][0] == pytest.approx(280, abs=10 * 280 / side)
    assert stroke[-1][0] == pytest.approx(280 * (1 - 90 / side), abs=1)


def test_margin_of_the_pad_neither_scrolls_nor_draws(open_page):
    left, top, side = page.inside_of_pad(open_page)
    script = "const there = document.elementFromPoint(...arguments); return getComputedStyle(there).touchAction"
    for x, y in [(-8, side / 2), (side + 8, side / 2), (side / 2, -8), (side / 2, side + 8)]:
        assert open_page.execute_script(script, left + x, top + y) == "none"
    page.drag(open_page, (left - 8, top + 50), (left - 6, top + 150))
    assert page.strokes_of(open_page) == []


def test_second_finger_is_ignored(open_page):
    left, top, _ = page.inside_of_pad(open_page)
    page.touch(open_page, "Start", (left + 80, top + 60))
    page.touch(open_page, "Start", (left + 80, top + 60), (left + 200, top + 60))
    page.touch(open_page, "Move", (left + 80, top + 160), (left + 200, top + 160))
    page.touch(open_page, "End")
    (stroke,) = page.strokes_of(open_page)
    assert np.ptp(np.asarray(stroke)[:, 0]) < 5


def test_pen_replaces_the_palm_and_is_not_disturbed_by_it(open_page):
    left, top, _ = page.inside_of_pad(open_page)
    page.touch(open_page, "Start", (left + 200, top + 250))
    page.drag(open_page, (left + 80, top + 60), (left + 80, top + 200), pointer="pen")
    page.touch(open_page, "Move", (left + 210, top + 260))
    page.touch(open_page, "End")
    page.swipe(open_page, (left + 200, top + 250), (left + 200, top + 100))
    (stroke,) = page.strokes_of(open_page)
    assert np.ptp(np.asarray(stroke)[:, 0]) < 5
    open_page.execute_script("hand.penTime -= PALM_TIME")  # a while later
    page.swipe(open_page, (left + 200, top + 100), (left + 200, top + 250))
    assert len(page.strokes_of(open_page)) == 2


def test_resizing_the_window_during_a_stroke_keeps_the_drawing(open_page):
    with page.screen(open_page, 1000, 800):
        page.show(open_page, page.STROKES[4][:1])
        before = page.strokes_of(open_page)
        left, top, side = page.inside_of_pad(open_page)
        page.mouse(open_page, "Pressed", left + side / 2, top + side / 2)
        page.resize(open_page, 250, 600, pixel_ratio=2)
        left, top, side = page.inside_of_pad(open_page)
        for kind in ("Moved", "Released"):
            page.mouse(open_page, kind, left + side * 3 / 4, top + side / 4)
        *others, stroke = page.strokes_of(open_page)
        assert others == before
        np.testing.assert_allclose(stroke[-1], (210, 70), atol=1.5)
        pad = page.pad_pixels(open_page)
        assert pad.shape[0] == pytest.approx(2 * side, abs=1)
        for x, y in [*before[0], *stroke]:
            assert pad[round(y * len(pad) / 280), round(x * len(pad) / 280)] > 127


# --- Buttons and keys ---


def test_undo_removes_a_stroke_and_restores_what_was_cleared(open_page):
    page.press(open_page, "undo")  # nothing to undo
    page.draw(open_page, page.STROKES[4])
    both = page.strokes_of(open_page)
    page.press(open_page, "clear")
    assert not page.pad_pixels(open_page).any()
    assert page.text_of(open_page, "verdict") == page.EMPTY
    page.press(open_page, "clear")  # nothing to clear: no step to undo
    page.press(open_page, "undo")
    assert page.strokes_of(open_page) == both
    assert page.answer_of(open_page) == "4"
    page.press(open_page, "undo")
    assert page.strokes_of(open_page) == both[:1]


@pytest.mark.parametrize("key", ["CONTROL", "META"])
def test_control_z_undoes_regardless_of_focus(open_page, key):
    page.type_on_pad(open_page, *["SPACE", "ARROW_LEFT", "SPACE"] * 3)
    page.type_on_pad(open_page, "z", held=(key, "SHIFT"))  # elsewhere, that is redo
    assert len(page.strokes_of(open_page)) == 3
    for left, name in enumerate(("pad", "clear", None)):
        open_page.execute_script("document.activeElement.blur(); document.getElementById(arguments[0])?.focus()", name)
        page.type_on_pad(open_page, "z", held=(key,), focus=False)
        assert len(page.strokes_of(open_page)) == 2 - left


def test_keyboard_draws_undoes_and_clears(open_page):
    pad = open_page.find_element("id", "pad")
    page.type_on_pad(open_page, *["ARROW_UP"] * 9, "SPACE", *["ARROW_DOWN"] * 18, "SPACE")
    assert page.text_of(open_page, "verdict").startswith("Classified as 1, ")
    assert "1 stroke" in pad.get_attribute("aria-label")
    page.type_on_pad(open_page, "BACKSPACE")
    assert page.text_of(open_page, "verdict") == page.EMPTY
    page.type_on_pad(open_page, "SPACE", *["ARROW_LEFT"] * 5, "SPACE", "DELETE")
    assert page.text_of(open_page, "verdict") == page.EMPTY
    assert "no strokes" in pad.get_attribute("aria-label")


def test_keyboard_is_announced_when_the_key_is_released(open_page):
    page.type_on_pad(open_page, "SPACE")
    before = page.text_of(open_page, "verdict")
    press_key = "pad.dispatchEvent(new KeyboardEvent(arguments[0], { key: 'ArrowDown' }))"
    for _ in range(12):
        open_page.execute_script(press_key, "keydown")
    page.next_frame(open_page)
    assert page.answer_of(open_page) == "1"
    assert page.text_of(open_page, "verdict") == before
    open_page.execute_script(press_key, "keyup")
    assert page.text_of(open_page, "verdict").startswith("Classified as 1, ")


def test_undo_during_a_stroke_ends_it(open_page):
    page.show(open_page, page.STROKES[4][:1])
    first = page.strokes_of(open_page)
    left, top, side = page.inside_of_pad(open_page)
    page.mouse(open_page, "Pressed", left + side / 4, top + side / 4)
    page.mouse(open_page, "Moved", left + side / 2, top + side / 4)
    assert len(page.strokes_of(open_page)) == 2
    page.type_on_pad(open_page, "BACKSPACE")
    page.mouse(open_page, "Moved", left + side / 2, top + side / 2)
    page.mouse(open_page, "Released", left + side / 2, top + side / 2)
    assert page.strokes_of(open_page) == first
    page.draw(open_page, page.STROKES[4][1:])
    assert len(page.strokes_of(open_page)) == 2
