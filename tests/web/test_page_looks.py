"""The page on screens and on paper, in different colours, for screen readers, in a frame, and what it may load."""

import base64
import re
import zlib

import on_page as page
import pytest

from model import load_net
from web import build

CROSS = [[(50, 50), (230, 230)], [(230, 50), (50, 230)]]

# Phones in portrait and landscape, a tablet, a desktop: width, height, device pixel ratio, touched or not.
SCREENS = [
    *((320, 568, 2, True), (360, 740, 3, True), (568, 320, 2, True), (740, 360, 3, True), (932, 430, 3, True)),
    *((720, 450, 1, False), (768, 1024, 2, True), (1280, 800, 1, False)),
]


@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_pad_buttons_answer_and_warnings_are_visible_without_scrolling(open_page, size):
    page.screen(open_page, *size)
    before = open_page.find_element("id", "tools").rect
    for strokes in (CROSS, page.side_by_side(page.STROKES[7], page.STROKES[1], page.STROKES[3], CROSS)):
        page.show(open_page, strokes)
        assert page.warnings_of(open_page)
        boxes = {name: open_page.find_element("id", name).rect for name in ("pad", "tools", "answer", "warnings")}
        for name, box in boxes.items():
            assert 0 <= box["x"] <= box["x"] + box["width"] <= size[0], name
            assert 0 <= box["y"] <= box["y"] + box["height"] <= size[1], name
        pad, tools = boxes["pad"], boxes["tools"]
        assert tools == before  # buttons do not move when a warning appears
        assert tools["y"] >= pad["y"] + pad["height"] or tools["x"] >= pad["x"] + pad["width"]
    assert pad["width"] >= 280
    assert open_page.find_element("css selector", ".track").rect["width"] >= 40


@pytest.mark.parametrize(("width", "font"), [(256, 16), (320, 32)], ids=["zoomed to 400%", "large font"])
def test_nothing_scrolls_sideways(open_page, width, font):
    page.screen(open_page, width, 640)
    open_page.execute_script(f"document.documentElement.style.fontSize = '{font}px'")
    page.show(open_page, page.side_by_side(page.STROKES[7], page.STROKES[1], page.STROKES[3], CROSS))
    assert page.js(open_page, "document.documentElement.scrollWidth") <= width


def test_bars_are_printed_without_backgrounds(open_page):
    page.show(open_page, page.STROKES[3])
    pdf = base64.b64decode(open_page.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})["data"])
    streams = re.findall(rb"FlateDecode.*?stream\r?\n(.*?)endstream", pdf, flags=re.DOTALL)
    blue = re.compile(rb"\b0 0?\.44\d* 0?\.69\d* rg")  # #0072b2, the colour of the bars
    assert any(blue.search(zlib.decompressobj().decompress(stream)) for stream in streams)


def test_page_opens_with_an_example_that_the_first_stroke_replaces(open_page):
    assert page.js(open_page, "(strokes = example, animateExample(100, 10), strokes[0].length)") == 4  # after 90 ms
    page.preference(open_page, "prefers-reduced-motion", "reduce")
    open_page.refresh()
    assert page.answer_of(open_page) == "5"
    page.draw(open_page, page.STROKES[1])
    assert page.answer_of(open_page) == "1"
    page.press(open_page, "undo")
    assert page.js(open_page, "strokes") == []


def test_saved_page_works_when_it_is_opened_again(open_page, tmp_path):
    page.show(open_page, page.side_by_side(page.STROKES[7], CROSS))
    saved = page.js(open_page, "document.documentElement.outerHTML")
    (tmp_path / "saved.html").write_text("<!DOCTYPE html>" + saved, encoding="utf-8")
    open_page.get((tmp_path / "saved.html").as_uri())
    page.show(open_page, page.side_by_side(page.STROKES[7], page.STROKES[3]))
    counts = "['#bars li', '.stage', '#answer button'].map((name) => document.querySelectorAll(name).length)"
    assert page.js(open_page, counts) == [10, 5, 2]
    open_page.find_element("css selector", "#answer button").click()
    assert open_page.find_element("css selector", "#answer button").get_attribute("aria-pressed") == "true"
    open_page.get_log("browser")  # the policy refuses the saved style attributes


@pytest.mark.parametrize("width", [450, 860])
def test_frame_of_a_notebook_is_as_high_as_the_page(open_page, tmp_path, width):
    (tmp_path / "notebook.html").write_text(build.EmbeddedPage(load_net())._repr_html_(), encoding="utf-8")
    page.screen(open_page, width, 800)
    open_page.get((tmp_path / "notebook.html").as_uri())
    for _ in range(3):
        page.next_frame(open_page)
    frame = open_page.find_element("css selector", "iframe")
    height = frame.rect["height"]
    open_page.switch_to.frame(frame)
    assert page.js(open_page, "document.body.getBoundingClientRect().bottom") <= height + 1
    assert page.js(open_page, "document.documentElement.scrollHeight") == pytest.approx(height, abs=1)
    open_page.switch_to.default_content()


def test_forced_colours_mark_the_selected_digit(open_page):
    page.show(open_page, page.side_by_side(page.STROKES[7], page.STROKES[3]))
    page.preference(open_page, "forced-colors", "active")
    buttons = open_page.find_elements("css selector", "#answer button")
    first, second = (button.value_of_css_property("border-bottom") for button in buttons)
    assert first != second


def test_tab_key_reaches_all_controls_and_shows_the_focus(open_page):
    reached = []
    for _ in range(5):
        page.type_keys(open_page, "TAB")
        focused = open_page.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.tag_name)
        assert focused.value_of_css_property("outline-style") == "solid"
    assert reached == ["pad", "undo", "clear", "why", "summary"]


def test_screen_readers_hear_names_and_the_answer_once(open_page):
    unnamed = "[...document.querySelectorAll('[role]:not([role=status]):not([aria-label])')].map((e) => e.id)"
    assert page.js(open_page, unnamed) == []
    assert open_page.find_element("id", "verdict").value_of_css_property("display") != "none"
    assert open_page.find_element("id", "answer").get_attribute("aria-hidden") == "true"
    pad = open_page.execute_cdp_cmd("Runtime.evaluate", {"expression": "pad"})["result"]["objectId"]
    node = open_page.execute_cdp_cmd("Accessibility.getPartialAXTree", {"objectId": pad, "fetchRelatives": False})
    assert "Arrow keys move the pen" in node["nodes"][0]["description"]["value"]


def test_content_security_policy_forbids_requests_and_other_scripts(browser):
    browser.get(build.PAGE.as_uri())
    refused = browser.execute_async_script("""
        const refused = [], script = document.createElement("script"), done = arguments[0];
        document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
        script.textContent = "window.broken = true";
        document.body.append(script);
        fetch("https://example.org").catch(() => setTimeout(() => done([...refused, window.broken ?? "intact"])));
    """)
    assert sorted(name.split("-")[0] for name in refused) == ["connect", "intact", "script"]


def test_dropped_picture_does_not_replace_the_page(open_page):
    dropped = "document.body.dispatchEvent(new Event(arguments[0], { bubbles: true, cancelable: true }))"
    assert [page.js(open_page, dropped, name) for name in ("dragover", "drop")] == [False, False]
