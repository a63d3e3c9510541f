"""The page on different screens and in different colours, for screen readers, in a frame, and what it may load."""

import re

import numpy as np
import pytest
from on_page import (
    EMPTY,
    STROKES,
    answer_of,
    draw,
    inside_of_pad,
    next_frame,
    preference,
    press,
    screen,
    show,
    side_by_side,
    strokes_of,
    text_of,
    type_on_pad,
    warnings_of,
)

from web import build

CROSS = [[(50, 50), (230, 230)], [(230, 50), (50, 230)]]

# --- Screens ---

# Phones in portrait and landscape, a tablet, a desktop: width, height, device pixel ratio, touched or not.
SCREENS = [
    *((320, 568, 2, True), (360, 740, 3, True), (568, 320, 2, True), (740, 360, 3, True), (932, 430, 3, True)),
    *((720, 450, 1, False), (768, 1024, 2, True), (1280, 800, 1, False)),
]


@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_pad_buttons_answer_and_warnings_are_visible_without_scrolling(open_page, size):
    width, height, *_ = size
    with screen(open_page, *size):
        for strokes in (CROSS, side_by_side(STROKES[7], STROKES[1], STROKES[3], CROSS)):
            show(open_page, strokes)
            assert warnings_of(open_page)
            for name in ("pad", "tools", "answer", "warnings"):
                box = open_page.find_element("id", name).rect
                assert box["x"] >= 0, name
                assert box["x"] + box["width"] <= width, name
                assert box["y"] >= 0, name
                assert box["y"] + box["height"] <= height, name
            pad, tools = (open_page.find_element("id", name).rect for name in ("pad", "tools"))
            assert tools["y"] >= pad["y"] + pad["height"] or tools["x"] >= pad["x"] + pad["width"]
        assert open_page.find_element("id", "pad").rect["width"] >= 280
        assert open_page.find_element("css selector", ".track").rect["width"] >= 40


@pytest.mark.parametrize(("width", "font"), [(256, 16), (320, 32)], ids=["zoomed to 400%", "large font"])
def test_nothing_scrolls_sideways(open_page, width, font):
    with screen(open_page, width, 640):
        open_page.execute_script(f"document.documentElement.style.fontSize = '{font}px'")
        show(open_page, side_by_side(STROKES[7], STROKES[1], STROKES[3], CROSS))
        assert open_page.execute_script("return document.documentElement.scrollWidth") <= width


def test_buttons_stay_where_they_are_when_a_warning_appears(open_page):
    for size in SCREENS[1], SCREENS[-1]:
        with screen(open_page, *size):
            show(open_page, CROSS[:1])
            before = open_page.find_element("id", "undo").rect
            show(open_page, [*side_by_side(CROSS, CROSS)])
            assert len(warnings_of(open_page)) > 1
            assert open_page.find_element("id", "undo").rect == before


def modified_page(folder, old, new):
    """Write the page with `new` instead of `old`, and with the right hashes, into `folder`; return its URL."""
    text = build.PAGE.read_text(encoding="utf-8")
    assert old in text
    changed = text.replace(old, new)
    for tag in ("style", "script"):
        before, after = (re.search(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)[1] for page in (text, changed))
        changed = changed.replace(build.csp_hash(before), build.csp_hash(after))
    (folder / "modified.html").write_text(changed, encoding="utf-8")
    return (folder / "modified.html").as_uri()


def test_pad_keeps_its_size_in_browsers_without_svh(browser, tmp_path):
    """Safari before 15.4, Chrome before 108, Firefox before 101: there `100svh` is invalid, as `100xyz` is anywhere."""
    with screen(browser, 740, 360, 1.5):
        browser.get(build.PAGE.as_uri())
        expected = inside_of_pad(browser)
        browser.get(modified_page(tmp_path, "svh", "xyz"))
        for _ in range(5):
            next_frame(browser)
        assert inside_of_pad(browser) == pytest.approx(expected)
        assert browser.execute_script("return pad.width") == pytest.approx(expected[2] * 1.5, abs=1)


@pytest.mark.parametrize("blocked", [False, True], ids=["scripts off", "scripts forbidden"])
def test_page_says_so_if_scripts_do_not_run(browser, tmp_path, blocked):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not blocked})
    try:
        browser.get(modified_page(tmp_path, "script-src", "img-src") if blocked else build.PAGE.as_uri())
        answer = browser.find_element("id", "answer")
        assert "needs JavaScript and a browser from 2021 or later" in answer.text
        assert answer.get_attribute("aria-hidden") is None
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.get_log("browser")


# --- The example, a saved page, a notebook ---


def test_page_opens_with_an_example_that_the_first_stroke_replaces(open_page):
    length = "return strokes[0]?.length ?? 0"
    assert open_page.execute_script(f"strokes = example; animateExample(100, 10); {length}") == 4  # after 90 ms
    open_page.refresh()
    for _ in range(1000):
        if open_page.execute_script(length) == 36:
            break
    assert answer_of(open_page) == "5"
    assert text_of(open_page, "verdict") == EMPTY
    draw(open_page, STROKES[1])
    assert answer_of(open_page) == "1"
    press(open_page, "undo")
    assert strokes_of(open_page) == []
    with preference(open_page, "prefers-reduced-motion", "reduce"):
        open_page.refresh()
        assert open_page.execute_script("return strokes[0].length") == 36
    open_page.get_log("performance")
    open_page.refresh()


def test_saved_page_works_when_it_is_opened_again(open_page, tmp_path):
    show(open_page, side_by_side(STROKES[7], CROSS))
    saved = open_page.execute_script("return document.documentElement.outerHTML")
    (tmp_path / "saved.html").write_text("<!DOCTYPE html>" + saved, encoding="utf-8")
    open_page.get((tmp_path / "saved.html").as_uri())
    show(open_page, side_by_side(STROKES[7], STROKES[3]))
    counts = "return ['#bars li', '.stage', '#answer button'].map((name) => document.querySelectorAll(name).length)"
    assert open_page.execute_script(counts) == [10, 5, 2]
    open_page.find_elements("css selector", "#answer button")[0].click()
    assert open_page.find_elements("css selector", "#answer button")[0].get_attribute("aria-pressed") == "true"
    open_page.get_log("browser")  # the policy refuses the saved style attributes
    open_page.get_log("performance")
    open_page.get(build.PAGE.as_uri())


@pytest.mark.parametrize("width", [450, 860])
def test_frame_of_a_notebook_is_as_high_as_the_page(browser, net, tmp_path, width):
    (tmp_path / "notebook.html").write_text(build.EmbeddedPage(net)._repr_html_(), encoding="utf-8")
    with screen(browser, width, 800):
        browser.get((tmp_path / "notebook.html").as_uri())
        for _ in range(3):
            next_frame(browser)
        frame = browser.find_element("css selector", "iframe")
        browser.switch_to.frame(frame)
        needed = browser.execute_script("return document.documentElement.scrollHeight")
        assert browser.execute_script("return document.body.getBoundingClientRect().bottom") <= needed + 1
        browser.switch_to.default_content()
        assert frame.rect["height"] == pytest.approx(needed, abs=1)


# --- Colours ---


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(open_page, scheme):
    """At least 4.5:1, as WCAG 2.1 requires at level AA."""
    show(open_page, CROSS)
    script = """
        const withText = [...document.querySelectorAll('body *')].filter((e) =>
          e.tagName !== 'SCRIPT' && [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
        return withText.map((e) => [e.tagName, getComputedStyle(e).color, getComputedStyle(e).backgroundColor]);
    """
    with preference(open_page, "prefers-color-scheme", scheme):
        texts = open_page.execute_script(script)
        paper = luminance(open_page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    assert {"H1", "P", "LI", "STRONG", "SPAN", "BUTTON", "SUMMARY"} <= {tag for tag, *_ in texts}
    for tag, text, background in texts:
        assert background == "rgba(0, 0, 0, 0)", tag  # transparent, so that the body's colour is behind the text
        light = luminance(text)
        assert (max(light, paper) + 0.05) / (min(light, paper) + 0.05) >= 4.5, tag


def test_forced_colours_mark_the_selected_digit(open_page):
    show(open_page, side_by_side(STROKES[7], STROKES[3]))
    with preference(open_page, "forced-colors", "active"):
        buttons = open_page.find_elements("css selector", "#answer button")
        first, second = (button.value_of_css_property("border-bottom-color") for button in buttons)
    assert first != second


# --- Keyboard and screen readers ---


def test_tab_key_reaches_all_controls_and_shows_the_focus(open_page):
    reached = []
    for _ in range(4):
        type_on_pad(open_page, "TAB", focus=False)
        focused = open_page.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.tag_name)
        assert focused.value_of_css_property("outline-style") == "solid"
    assert reached == ["pad", "undo", "clear", "summary"]


def test_screen_readers_hear_names_and_the_answer_once(open_page):
    unnamed = "return [...document.querySelectorAll('[role]:not([role=status]):not([aria-label])')].map((e) => e.id)"
    assert open_page.execute_script(unnamed) == []
    verdict = open_page.find_element("id", "verdict")
    assert verdict.get_attribute("role") == "status"
    assert verdict.value_of_css_property("display") != "none"
    assert open_page.find_element("id", "answer").get_attribute("aria-hidden") == "true"
    pad = open_page.execute_cdp_cmd("Runtime.evaluate", {"expression": "pad"})["result"]["objectId"]
    node = open_page.execute_cdp_cmd("Accessibility.getPartialAXTree", {"objectId": pad, "fetchRelatives": False})
    assert "Arrow keys move the pen" in node["nodes"][0]["description"]["value"]


# --- What it may load ---


def test_content_security_policy_forbids_requests_and_other_scripts(open_page):
    script = """
        const done = arguments[arguments.length - 1];
        window.refused = [];
        document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
        fetch("https://example.org").then(() => done("fetched"), () => done("refused"));
    """
    assert open_page.execute_async_script(script) == "refused"
    open_page.execute_script("""
        const script = document.createElement("script");
        script.textContent = "window.broken = true";
        document.body.append(script);
    """)
    assert open_page.execute_script("return window.broken === undefined")
    assert open_page.execute_script("return refused.map((name) => name.split('-')[0])") == ["connect", "script"]
    open_page.get_log("browser")
    open_page.get_log("performance")
    open_page.refresh()


def test_dropped_picture_does_not_replace_the_page(open_page):
    script = "return !document.body.dispatchEvent(new Event(arguments[0], { bubbles: true, cancelable: true }))"
    assert [open_page.execute_script(script, name) for name in ("dragover", "drop")] == [True, True]
