"""Draw on the page in a real browser: pointers, buttons and keys."""

import itertools

import numpy as np
import on_page as page
import pytest


def test_every_stroke_updates_pad_answer_input_and_feature_maps(open_page):
    canvases = "[...document.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL())"
    states = [(page.text_of(open_page, "answer"), page.js(open_page, canvases))]
    for stroke in page.STROKES[4]:
        page.draw(open_page, [stroke])
        states.append((page.text_of(open_page, "answer"), page.js(open_page, canvases)))
    assert len(states[0][1]) == 2 + 8 + 16 + 8 + 32 + 10
    for (answer, before), (next_answer, after) in itertools.pairwise(states):
        assert answer != next_answer
        assert before[0] != after[0]
        assert before[1] != after[1]
        assert sum(a != b for a, b in zip(before, after, strict=True)) > 40


def test_answer_is_shown_while_drawing_and_announced_after_the_stroke(open_page):
    page.move(open_page, (140, 70), (140, 210), up=False)
    page.next_frame(open_page)
    assert page.text_of(open_page, "answer").startswith("1")
    assert page.text_of(open_page, "verdict") == page.EMPTY
    page.move(open_page, (140, 210), down=False)
    assert page.text_of(open_page, "verdict").startswith("Classified as 1, ")


@pytest.mark.parametrize(("kind", "digit"), [("mouse", 2), ("touch", 3), ("pen", 4)])
def test_mouse_finger_and_pen_draw(open_page, kind, digit):
    page.draw(open_page, page.STROKES[digit], kind=kind)
    assert page.text_of(open_page, "verdict").startswith(f"Classified as {digit}, ")


@pytest.mark.parametrize("width", [250, 1000])
def test_stroke_follows_the_pointer_and_outside_the_edge(open_page, width):
    places = [(140, 140), (70, 210), (0, 0), (280, 0), (280, 140), (300, 140), (300, 220), (140, 220)]
    page.screen(open_page, width, 700)
    page.move(open_page, *places)
    # The pointer is at whole pixels, of which one is up to 1.4 units.
    np.testing.assert_allclose(page.js(open_page, "strokes"), [np.minimum(places, 280)], atol=1.5)


@pytest.mark.parametrize(("kind", "begin"), [("mouse", 360), ("touch", 287)])
def test_stroke_that_begins_outside_starts_at_the_edge(open_page, kind, begin):
    page.move(open_page, (begin, 140), *[(x, 140) for x in range(272, 200, -8)], kind=kind)
    (stroke,) = page.js(open_page, "strokes")
    assert stroke[0][0] == pytest.approx(280, abs=10)
    page.move(open_page, (-6, 40), (-5, 120), kind=kind)  # never reaches the pad
    assert len(page.js(open_page, "strokes")) == 1


def test_second_pointer_is_ignored(open_page):
    page.move(open_page, (60, 50), up=False)
    for event in ("pointerdown", "pointermove", "pointerup"):
        finger = "{ pointerId: 99, pointerType: 'touch', clientX: 200, clientY: 300 }"
        open_page.execute_script(f"board.dispatchEvent(new PointerEvent('{event}', {finger}))")
    page.move(open_page, (60, 130), down=False)
    (stroke,) = page.js(open_page, "strokes")
    assert np.ptp(stroke, axis=0) == pytest.approx([0, 80], abs=3)


def test_pen_replaces_the_palm_and_is_not_disturbed_by_it(open_page):
    page.move(open_page, (160, 200), kind="touch", up=False)
    page.move(open_page, (60, 50), (60, 160), kind="pen")
    page.move(open_page, (170, 210), kind="touch", down=False)
    page.move(open_page, (160, 200), (160, 80), kind="touch")
    (stroke,) = page.js(open_page, "strokes")
    assert np.ptp(stroke, axis=0) == pytest.approx([0, 110], abs=3)
    open_page.execute_script("hand.penTime -= PALM_TIME")  # a while later
    page.move(open_page, (160, 80), (160, 200), kind="touch")
    assert len(page.js(open_page, "strokes")) == 2


def test_drawing_is_repainted_on_another_screen(open_page):
    page.show(open_page, page.STROKES[4])
    page.screen(open_page, 250, 600, pixel_ratio=2)
    assert page.js(open_page, "pad.width === 2 * pad.clientWidth")
    for x, y in itertools.chain(*page.STROKES[4]):
        assert page.colour_at(open_page, x, y) == [255, 255, 255]


def test_undo_removes_a_stroke_and_restores_what_was_cleared(open_page):
    page.press(open_page, "undo")  # nothing to undo
    page.draw(open_page, page.STROKES[4])
    both = page.js(open_page, "strokes")
    page.press(open_page, "clear")
    assert page.colour_at(open_page, *both[0][0]) == [0, 0, 0]
    assert page.text_of(open_page, "verdict") == page.EMPTY
    page.press(open_page, "clear")  # nothing to clear: no step to undo
    page.press(open_page, "undo")
    assert page.js(open_page, "strokes") == both
    assert page.answer_of(open_page) == "4"
    page.press(open_page, "undo")
    assert page.js(open_page, "strokes") == both[:1]


def test_control_z_undoes_regardless_of_focus(open_page):
    page.type_keys(open_page, *["SPACE", "ARROW_LEFT", "SPACE"] * 3, on="pad")
    page.type_keys(open_page, "CONTROL", "SHIFT", "z")  # elsewhere, that is redo
    assert len(page.js(open_page, "strokes")) == 3
    page.type_keys(open_page, "CONTROL", "z")
    page.type_keys(open_page, "META", "z", on="clear")
    open_page.execute_script("document.activeElement.blur()")
    page.type_keys(open_page, "CONTROL", "z")
    assert page.js(open_page, "strokes") == []


def test_keyboard_draws_undoes_and_clears(open_page):
    page.type_keys(open_page, *["ARROW_UP"] * 9, "SPACE", *["ARROW_DOWN"] * 18, "SPACE", on="pad")
    assert page.text_of(open_page, "verdict").startswith("Classified as 1, ")
    page.type_keys(open_page, "BACKSPACE")
    assert page.text_of(open_page, "verdict") == page.EMPTY
    page.type_keys(open_page, "SPACE", *["ARROW_LEFT"] * 5, "SPACE")
    assert "1 stroke" in page.js(open_page, "pad.getAttribute('aria-label')")
    page.type_keys(open_page, "DELETE")
    assert page.text_of(open_page, "verdict") == page.EMPTY


def test_keyboard_is_announced_when_the_key_is_released(open_page):
    page.type_keys(open_page, "SPACE", on="pad")
    open_page.execute_script("element('verdict').textContent = 'before'")
    press_key = "pad.dispatchEvent(new KeyboardEvent(arguments[0], { key: 'ArrowDown' }))"
    for _ in range(12):
        open_page.execute_script(press_key, "keydown")
    page.next_frame(open_page)
    assert page.answer_of(open_page) == "1"
    assert page.text_of(open_page, "verdict") == "before"
    open_page.execute_script(press_key, "keyup")
    assert page.text_of(open_page, "verdict").startswith("Classified as 1, ")


def test_undo_during_a_stroke_ends_it(open_page):
    page.show(open_page, page.STROKES[4][:1])
    page.move(open_page, (70, 70), (140, 70), up=False)
    assert len(page.js(open_page, "strokes")) == 2
    page.type_keys(open_page, "BACKSPACE", on="pad")
    move = "new PointerEvent('pointermove', { pointerId: hand.pointer, clientX: 200, clientY: 300 })"
    open_page.execute_script(f"board.dispatchEvent({move})")
    page.move(open_page, (140, 140), down=False)
    assert page.js(open_page, "strokes") == page.STROKES[4][:1]
    page.draw(open_page, page.STROKES[4][1:])
    assert len(page.js(open_page, "strokes")) == 2
