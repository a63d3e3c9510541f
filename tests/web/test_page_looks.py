"""The page on different screens and in different colours, for screen readers, in a frame, and what it may load."""

import on_page as page
import pytest

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
    with page.screen(open_page, *size):
        for strokes in (CROSS, page.side_by_side(page.STROKES[7], page.STROKES[1], page.STROKES[3], CROSS)):
            page.show(open_page, strokes)
            assert page.warnings_of(open_page)
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
    with page.screen(open_page, width, 640):
        open_page.execute_script(f"document.documentElement.style.fontSize = '{font}px'")
        page.show(open_page, page.side_by_side(page.STROKES[7], page.STROKES[1], page.STROKES[3], CROSS))
        assert open_page.execute_script("return document.documentElement.scrollWidth") <= width


def test_buttons_stay_where_they_are_when_a_warning_appears(open_page):
    for size in SCREENS[1], SCREENS[-1]:
        with page.screen(open_page, *size):
            page.show(open_page, CROSS[:1])
            before = open_page.find_element("id", "undo").rect
            page.show(open_page, [*page.side_by_side(CROSS, CROSS)])
            assert len(page.warnings_of(open_page)) > 1
            assert open_page.find_element("id", "undo").rect == before


def test_page_says_so_if_scripts_do_not_run(browser):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(build.PAGE.as_uri())
        answer = browser.find_element("id", "answer")
        assert "needs JavaScript and a browser from 2021 or later" in answer.text
        assert answer.get_attribute("aria-hidden") is None
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


# --- The example, a saved page, a notebook ---


def test_page_opens_with_an_example_that_the_first_stroke_replaces(open_page):
    length = "return strokes[0]?.length ?? 0"
    assert open_page.execute_script(f"strokes = example; animateExample(100, 10); {length}") == 4  # after 90 ms
    open_page.refresh()
    for _ in range(1000):
        if open_page.execute_script(length) == 36:
            break
    assert page.answer_of(open_page) == "5"
    assert page.text_of(open_page, "verdict") == page.EMPTY
    page.draw(open_page, page.STROKES[1])
    assert page.answer_of(open_page) == "1"
    page.press(open_page, "undo")
    assert page.strokes_of(open_page) == []
    with page.preference(open_page, "prefers-reduced-motion", "reduce"):
        open_page.refresh()
        assert open_page.execute_script("return strokes[0].length") == 36
    open_page.get_log("performance")
    open_page.refresh()


def test_saved_page_works_when_it_is_opened_again(open_page, tmp_path):
    page.show(open_page, page.side_by_side(page.STROKES[7], CROSS))
    saved = open_page.execute_script("return document.documentElement.outerHTML")
    (tmp_path / "saved.html").write_text("<!DOCTYPE html>" + saved, encoding="utf-8")
    open_page.get((tmp_path / "saved.html").as_uri())
    page.show(open_page, page.side_by_side(page.STROKES[7], page.STROKES[3]))
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
    with page.screen(browser, width, 800):
        browser.get((tmp_path / "notebook.html").as_uri())
        for _ in range(3):
            page.next_frame(browser)
        frame = browser.find_element("css selector", "iframe")
        browser.switch_to.frame(frame)
        needed = browser.execute_script("return document.documentElement.scrollHeight")
        assert browser.execute_script("return document.body.getBoundingClientRect().bottom") <= needed + 1
        browser.switch_to.default_content()
        assert frame.rect["height"] == pytest.approx(needed, abs=1)


# --- Colours, keyboard and screen readers ---


def test_forced_colours_mark_the_selected_digit(open_page):
    page.show(open_page, page.side_by_side(page.STROKES[7], page.STROKES[3]))
    with page.preference(open_page, "forced-colors", "active"):
        buttons = open_page.find_elements("css selector", "#answer button")
        first, second = (button.value_of_css_property("border-bottom-color") for button in buttons)
    assert first != second


def test_tab_key_reaches_all_controls_and_shows_the_focus(open_page):
    reached = []
    for _ in range(4):
        page.type_on_pad(open_page, "TAB", focus=False)
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
