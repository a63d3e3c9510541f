"""The page on different screens and in different colours, for screen readers, and what it may load."""

import re

import pytest
from on_page import (
    EMPTY,
    STROKES,
    inside_of_pad,
    next_frame,
    preference,
    screen,
    show,
    side_by_side,
    text_of,
    type_on_pad,
)

from web import build

# --- Screens ---

# Phones in portrait and landscape, a tablet, a desktop: width, height, device pixel ratio, touched or not.
SCREENS = [(360, 740, 3, True), (740, 360, 3, True), (768, 1024, 2, True), (1280, 800, 1, False)]


@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_pad_buttons_and_answer_are_visible_without_scrolling(open_page, size):
    width, height, *_ = size
    number = side_by_side(STROKES[7], STROKES[1], STROKES[3], STROKES[2], size=60)
    with screen(open_page, *size):
        for strokes, answer in ((STROKES[7], "7"), (number, "7132")):
            show(open_page, strokes)
            assert text_of(open_page, "answer").startswith(answer)
            for name in ("pad", "tools", "answer"):
                box = open_page.find_element("id", name).rect
                assert box["x"] >= 0, name
                assert box["x"] + box["width"] <= width, name
                assert box["y"] >= 0, name
                assert box["y"] + box["height"] <= height, name
        assert open_page.find_element("id", "pad").rect["width"] >= 300
        assert open_page.execute_script("return document.documentElement.scrollWidth") <= width


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
        assert "needs JavaScript" in answer.text
        assert answer.get_attribute("aria-hidden") is None
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    browser.get_log("browser")


# --- Colours ---


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_enough_contrast(open_page, scheme):
    """At least 4.5:1, as WCAG 2.1 requires at level AA."""
    show(open_page, STROKES[7])
    script = """
        const withText = [...document.querySelectorAll('body *')].filter((e) =>
          e.tagName !== 'SCRIPT' && [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
        return withText.map((e) => [e.tagName, getComputedStyle(e).color, getComputedStyle(e).backgroundColor]);
    """
    with preference(open_page, "prefers-color-scheme", scheme):
        texts = open_page.execute_script(script)
        paper = luminance(open_page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    assert {"H1", "P", "STRONG", "SPAN", "BUTTON", "SUMMARY"} <= {tag for tag, *_ in texts}
    for tag, text, background in texts:
        assert background == "rgba(0, 0, 0, 0)", tag  # transparent, so that the body's colour is behind the text
        light = luminance(text)
        assert (max(light, paper) + 0.05) / (min(light, paper) + 0.05) >= 4.5, tag


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
    unnamed = "return [...document.querySelectorAll('[role]:not([aria-live]):not([aria-label])')].map((e) => e.id)"
    assert open_page.execute_script(unnamed) == []
    verdict = open_page.find_element("id", "verdict")
    assert verdict.get_attribute("aria-live") == "polite"
    assert verdict.value_of_css_property("display") != "none"
    assert text_of(open_page, "verdict") == EMPTY
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
