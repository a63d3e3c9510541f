"""How the page looks, and what it is for those who cannot see it: screens, colours, words, names, what it may load."""

import functools
import http.server
import re
import threading

import pytest
from helpers import draw
from on_page import BLANK, inside_of_pad, preference, resize, screen, shown_on_pad, text_of

from model import Net
from reader.samples.synthetic_photos import STROKES
from web import build as page

# --- Screens ---

# Phones upright and on their side, a tablet, a desktop: width, height, pixels to each, touched or not.
SCREENS = [(360, 740, 3, True), (740, 360, 3, True), (390, 844, 3, True), (768, 1024, 2, True), (1280, 800, 1, False)]


@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_pad_buttons_and_answer_are_seen_without_scrolling(open_page, size):
    width, height, *_ = size
    with screen(open_page, *size):
        draw(open_page, STROKES[7])
        open_page.execute_script("scrollTo(0, 0)")
        for name in ("pad", "tools", "answer"):
            box = open_page.find_element("id", name).rect
            assert box["x"] >= 0, name
            assert box["x"] + box["width"] <= width, name
            assert box["y"] >= 0, name
            assert box["y"] + box["height"] <= height, name
        assert open_page.find_element("id", "pad").rect["width"] >= 300
        assert text_of(open_page, "answer").startswith("7")


@pytest.mark.parametrize("size", SCREENS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_answer_is_the_largest_text(open_page, size):
    sizes = """
        return [...document.querySelectorAll('body *')]
          .map((e) => [e.tagName, parseFloat(getComputedStyle(e).fontSize)]);
    """
    with screen(open_page, *size):
        found = open_page.execute_script(sizes)
    (answer,) = (points for tag, points in found if tag == "STRONG")
    assert answer > 2 * max(points for tag, points in found if tag != "STRONG")


@pytest.mark.parametrize("width", [250, 320, 360, 768, 1000, 1400])
def test_it_fits_the_screen(open_page, width):
    with screen(open_page, width, 700, coarse=width < 700):
        assert open_page.execute_script("return document.documentElement.scrollWidth") <= width
        draw(open_page, STROKES[7])
        assert text_of(open_page, "verdict").startswith("Classified as 7, ")


def test_help_for_the_keyboard_folds_away_where_one_touches(open_page):
    for coarse in (True, False):
        with screen(open_page, 400, 800, coarse=coarse):
            open_page.refresh()
            assert open_page.find_element("id", "keys").get_property("open") == (not coarse)
    assert "Arrows move the pen" in described(open_page)


def described(browser):
    """Return how the pad describes itself to a screen reader."""
    pad = browser.execute_cdp_cmd("Runtime.evaluate", {"expression": "pad"})["result"]["objectId"]
    node = browser.execute_cdp_cmd("Accessibility.getPartialAXTree", {"objectId": pad, "fetchRelatives": False})
    return node["nodes"][0]["description"]["value"]


def test_strokes_are_as_sharp_as_the_screen(open_page):
    """Also when that changes, as when a window is dragged to another screen; and the drawing stays."""
    with screen(open_page, 1000, 800):
        draw(open_page, STROKES[4])
        for width, sharpness in ((990, 2), (980, 1), (970, 1.5), (250, 1.5)):  # Chromium wants another size, too
            resize(open_page, width, 800, sharpness)
            open_page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
            pad = shown_on_pad(open_page)
            assert len(pad) == pytest.approx(sharpness * inside_of_pad(open_page)[2], abs=1)
            assert (pad > 127).mean() == pytest.approx(0.1, abs=0.05)


# --- Colours and motion ---


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(open_page, scheme):
    """A contrast of at least 4.5, as WCAG 2.1 asks for at level AA."""
    draw(open_page, STROKES[7])
    script = """
        const speaking = [...document.querySelectorAll('body *')].filter((e) =>
          e.tagName !== 'SCRIPT' && [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim()));
        return speaking.map((e) => [e.tagName, getComputedStyle(e).color, getComputedStyle(e).backgroundColor]);
    """
    with preference(open_page, "prefers-color-scheme", scheme):
        texts = open_page.execute_script(script)
        paper = luminance(open_page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert (paper > 0.5) == (scheme == "light")
    assert {"H1", "P", "STRONG", "SPAN", "BUTTON", "SUMMARY"} <= {tag for tag, *_ in texts}
    for tag, text, own in texts:
        assert own == "rgba(0, 0, 0, 0)" or tag == "CANVAS", tag  # so that the body's is behind it
        light = luminance(text)
        assert (max(light, paper) + 0.05) / (min(light, paper) + 0.05) >= 4.5, tag


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_nothing_moves_by_itself(open_page, motion):
    with preference(open_page, "prefers-reduced-motion", motion):
        draw(open_page, STROKES[7])
        assert open_page.execute_script("return document.getAnimations().length") == 0
        timed = "return [...document.querySelectorAll('*')].map((e) => getComputedStyle(e).transitionDuration)"
        assert set(open_page.execute_script(timed)) == {"0s"}


# --- Words and names ---


def test_its_words_are_those_of_the_field(open_page):
    text = open_page.execute_script("return document.title + ' ' + document.querySelector('main').textContent")
    assert not re.search(r"\breads?\b", text)
    assert "A network of 6,456 parameters, trained on MNIST's 60,000 handwritten digits, classifies" in " ".join(
        text.split()
    )
    assert text_of(open_page, "verdict") == BLANK
    assert text_of(open_page, "answer") == "?nothing drawn yet"


def test_each_stage_says_in_a_few_words_what_it_is(open_page):
    """How far a stage looks is what `Net` tells of it."""
    rows = re.findall(r"\| (\w+) +\| .*?\| ([^|]+?) +\| (\d+×\d+)\D.*\|", Net.__doc__)
    captions = open_page.execute_script("return [...document.querySelectorAll('.stage p')].map((p) => p.textContent)")
    assert len(captions) == len(rows) == 5
    for caption, (name, shape, field) in zip(captions, rows, strict=True):
        words, shown = re.fullmatch(rf"{name}: (.+) \((.+)\)", caption.replace("\u00a0", " ")).groups()
        assert 4 <= len(words.split()) <= 6
        assert shown == shape or name == "digits"
        assert set(re.findall(r"\d+×\d+", words)) <= {field}


def test_the_squares_of_digits_are_labelled_and_no_others(open_page):
    for name in ("edges", "parts", "shrink", "shapes", "digits"):
        labels = "return [...document.querySelectorAll(arguments[0])].map((square) => square.textContent)"
        shown = open_page.execute_script(labels, f"#stage-{name} > *")
        assert shown == [str(i) for i in range(10)] if name == "digits" else not any(shown)


def test_everything_can_be_reached_with_the_tab_key_is_seen_there_and_has_a_name(open_page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    reached = []
    for _ in range(4):
        ActionChains(open_page).send_keys(Keys.TAB).perform()
        there = open_page.switch_to.active_element
        reached.append(there.get_attribute("id") or there.tag_name)
        assert there.value_of_css_property("outline-style") == "solid"
        assert there.value_of_css_property("outline-width") == "3px"
    assert reached == ["pad", "undo", "clear", "summary"]
    unnamed = (
        "return [...document.querySelectorAll('[role]')].filter((e) => !e.getAttribute('aria-label')).map((e) => e.id)"
    )
    assert open_page.execute_script(unnamed) == ["verdict"]  # which speaks for itself
    verdict = open_page.find_element("id", "verdict")
    assert (verdict.get_attribute("aria-live"), verdict.get_attribute("role")) == ("polite", "status")
    assert verdict.value_of_css_property("display") != "none"
    assert open_page.find_element("id", "answer").get_attribute("aria-hidden") == "true"  # or it would be said twice


# --- What it may load ---


def test_its_policy_forbids_what_is_not_its_own(open_page):
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


def test_published_it_is_all_that_is_asked_for(browser, tmp_path):
    """Served under a folder's name, as GitHub Pages does."""
    (tmp_path / "mnist-6k").mkdir()
    (tmp_path / "mnist-6k" / "index.html").write_bytes(page.PAGE.read_bytes())
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            browser.get(f"http://127.0.0.1:{server.server_port}/mnist-6k/")
            draw(browser, STROKES[2])
            assert text_of(browser, "verdict").startswith("Classified as 2, ")
            browser.get("about:blank")
        finally:
            server.shutdown()
    assert asked == ["/mnist-6k/"]
