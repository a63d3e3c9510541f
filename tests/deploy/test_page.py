"""The page to draw on, in a real browser: it computes what torch computes, and every button works."""

import base64
import itertools
import json
import re

import numpy as np
import pytest
import torch
from shared import draw

import utils
from deploy import load_net, page, picture
from deploy.pictures.make import STROKES
from model import Net

BLANK = "Nothing drawn yet."


@pytest.fixture(scope="module")
def net():
    return load_net()


@pytest.fixture
def open_page(browser):
    """The page, opened from the disk; afterwards: it logged no error and asked for nothing else."""
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(page.PAGE.as_uri())
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert set(asked) == {page.PAGE.as_uri()}


def text_of(browser, name):
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def pixels_on_pad(browser):
    """Return what the page sees on its pad, uint8 [280, 280]."""
    script = """
        let text = "";
        inkOnPad().forEach((value) => { text += String.fromCharCode(Math.round(255 * value)); });
        return btoa(text);
    """
    content = base64.b64decode(browser.execute_script(script))
    return np.frombuffer(content, dtype=np.uint8).reshape(280, 280)


def seen(browser):
    """Return the 28×28 pixels that the page makes of its pad, from 0 to 255."""
    return browser.execute_script("return Array.from(prepare(inkOnPad(), 280, 280), (p) => Math.round(255 * p))")


# --- What it computes ---


def test_its_logits_are_those_of_torch(open_page, net, mnist):
    images = mnist[1].images[:500].cpu()
    pixels = (images.flatten(1).float() / 255).tolist()
    script = "return arguments[0].map((pixels) => Array.from(forward(pixels).logits))"
    logits = torch.tensor(open_page.execute_script(script, pixels))
    # The page sums in another order, and logits reach 30: a float32 there has steps of 2e-6, and layers add up theirs.
    torch.testing.assert_close(logits, utils.compute_logits(net, images), atol=1e-4, rtol=0)


def test_its_feature_maps_are_those_of_torch(open_page, net, mnist):
    image = mnist[1].images[:1].cpu()
    kept = {}
    hooks = [
        stage.register_forward_hook(lambda _, inputs, output, name=name: kept.update({name: output[0]}))
        for name, stage in net.named_children()
    ]
    utils.compute_logits(net, image)
    for hook in hooks:
        hook.remove()
    script = "return forward(arguments[0]).stages.map(({ name, data }) => [name, Array.from(data)])"
    stages = dict(open_page.execute_script(script, (image.flatten().float() / 255).tolist()))
    assert list(stages) == list(kept)
    for name, values in stages.items():
        torch.testing.assert_close(torch.tensor(values), kept[name].flatten(), atol=1e-4, rtol=1e-4)


def test_it_computes_any_model_whose_layers_it_knows(browser, tmp_path):
    """Padding, groups and pooling as `Net` does not have them, and sizes that the pooling does not divide."""
    torch.manual_seed(0)
    first = [torch.nn.Conv2d(1, 4, 5, padding=2, bias=False), torch.nn.ReLU(), torch.nn.MaxPool2d(3)]  # 28 → 9
    second = [torch.nn.Conv2d(4, 6, 2, groups=2, bias=False), torch.nn.BatchNorm2d(6), torch.nn.AvgPool2d((3, 3), 3)]
    model = torch.nn.Sequential(torch.nn.Sequential(*first), torch.nn.Sequential(*second)).eval()
    for values in second[1].state_dict().values():
        values.copy_(torch.rand(values.shape) + 0.5)
    image = torch.randint(0, 256, (1, 1, 28, 28), dtype=torch.uint8)
    with torch.inference_mode():
        expected = [stage[0] for stage in (model[0](utils.normalize(image)), model(utils.normalize(image)))]
    (tmp_path / "other.html").write_text(page.build(model), encoding="utf-8")
    browser.get((tmp_path / "other.html").as_uri())
    script = "return forward(arguments[0]).stages.map(({ channels, size, data }) => [channels, size, Array.from(data)])"
    stages = browser.execute_script(script, (image.flatten().float() / 255).tolist())
    for (channels, size, values), there in zip(stages, expected, strict=True):
        assert [channels, size, size] == list(there.shape)
        torch.testing.assert_close(torch.tensor(values), there.flatten(), atol=1e-4, rtol=1e-4)


# --- What it reads ---


@pytest.mark.parametrize("digit", range(10))
def test_a_drawn_digit_is_read_as_predict_reads_it(open_page, net, digit):
    draw(open_page, STROKES[digit])
    assert re.fullmatch(rf"It reads {digit}, \d+ % sure\.", text_of(open_page, "verdict"))
    pad = pixels_on_pad(open_page)
    ours = picture.center_ink(picture.find_ink(picture.read_picture(pad)))
    theirs = torch.tensor(seen(open_page)).view(1, 1, 28, 28)
    assert (ours.int() - theirs).abs().max() <= 1  # where a value lies in the middle between two bytes
    shown = open_page.execute_script("return [...document.querySelectorAll('#bars li')].map((li) => li.textContent)")
    chances = [float(line[1:].replace("%", "")) for line in shown]
    # They are shown to a tenth of a per cent, and such a byte moves them by as little.
    np.testing.assert_allclose(chances, 100 * picture.predict(net, pad).numpy(), atol=0.2)


def test_a_finger_draws_too(open_page):
    draw(open_page, STROKES[3], kind="touch")
    assert text_of(open_page, "verdict").startswith("It reads 3, ")


def test_a_pen_draws_too(open_page):
    draw(open_page, STROKES[4], kind="pen")
    assert text_of(open_page, "verdict").startswith("It reads 4, ")


@pytest.mark.parametrize("width", [250, 333, 1000])
def test_a_stroke_is_where_the_pointer_is(open_page, width):
    """Within half a pixel of the pad's 280×280, in its corners too, whatever its size and for all its border."""
    size = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    open_page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        left, top, side = open_page.execute_script("""
            const box = pad.getBoundingClientRect(), style = getComputedStyle(pad);
            return [box.left + parseFloat(style.borderLeftWidth), box.top + parseFloat(style.borderTopWidth),
                    box.width - parseFloat(style.borderLeftWidth) - parseFloat(style.borderRightWidth)];
        """)
        places = [(140, 140), (70, 210), (0, 0), (280, 0), (280, 280), (0, 280)]
        for i, (x, y) in enumerate(places):
            point = {"x": left + x * side / 280, "y": top + y * side / 280, "button": "left", "buttons": 1}
            kind = "mouseMoved" if i else "mousePressed"
            open_page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, "clickCount": 1, **point})
        open_page.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": "mouseReleased", "clickCount": 1, **point})
        (stroke,) = strokes_of(open_page)
    finally:
        open_page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    np.testing.assert_allclose(stroke, places, atol=0.5)


def test_every_stroke_changes_bars_picture_and_maps(open_page):
    canvases = "return [...document.querySelectorAll('#seen, .channels canvas')].map((c) => c.toDataURL())"
    states = [open_page.execute_script(canvases)]
    for stroke in STROKES[4]:
        draw(open_page, [stroke])
        states.append(open_page.execute_script(canvases))
    assert len(states[0]) == 1 + 8 + 16 + 8 + 32 + 10
    for before, after in itertools.pairwise(states):
        assert before[0] != after[0]
        assert sum(a != b for a, b in zip(before, after, strict=True)) > 40


def test_the_bars_are_as_long_as_the_chances(open_page):
    draw(open_page, [STROKES[5][0][:6]])
    script = """
        return [...document.querySelectorAll('#bars li')].map((li) => [
          li.querySelector('.bar').getBoundingClientRect().width / li.querySelector('.track').clientWidth,
          parseFloat(li.lastChild.textContent) / 100])
    """
    for width, chance in open_page.execute_script(script):
        assert width == pytest.approx(chance, abs=0.01)


# --- Buttons and keys ---


def press(browser, name):
    browser.find_element("id", name).click()


def test_undo_takes_back_a_stroke_and_clear_all(open_page):
    assert text_of(open_page, "verdict") == BLANK
    press(open_page, "undo")
    draw(open_page, STROKES[4][:1])
    one = pixels_on_pad(open_page)
    draw(open_page, STROKES[4][1:])
    assert (pixels_on_pad(open_page) != one).any()
    press(open_page, "undo")
    assert (pixels_on_pad(open_page) == one).all()
    press(open_page, "clear")
    assert not pixels_on_pad(open_page).any()
    assert text_of(open_page, "verdict") == BLANK
    assert set(open_page.execute_script("return [...document.querySelectorAll('.bar')].map((b) => b.style.width)")) == {
        "0%"
    }


def test_the_keyboard_draws_undoes_and_clears(open_page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    pad = open_page.find_element("id", "pad")
    open_page.execute_script("arguments[0].focus()", pad)

    def keys(*sequence):
        ActionChains(open_page).send_keys(*sequence).perform()

    keys(*[Keys.ARROW_UP] * 9, Keys.SPACE, *[Keys.ARROW_DOWN] * 18, Keys.SPACE)
    assert text_of(open_page, "verdict").startswith("It reads 1, ")
    assert "1 stroke" in pad.get_attribute("aria-label")
    keys(Keys.BACKSPACE)
    assert text_of(open_page, "verdict") == BLANK
    keys(Keys.SPACE, *[Keys.ARROW_LEFT] * 5, Keys.SPACE, Keys.DELETE)
    assert text_of(open_page, "verdict") == BLANK
    assert "no strokes" in pad.get_attribute("aria-label")


def strokes_of(browser):
    return browser.execute_script("return strokes")


def test_undo_in_the_middle_of_a_stroke_ends_it(open_page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    draw(open_page, STROKES[4][:1])
    first = strokes_of(open_page)
    pad = open_page.find_element("id", "pad")
    hand = ActionChains(open_page, duration=5)
    hand.move_to_element_with_offset(pad, -60, -60).click_and_hold().move_by_offset(40, 0).perform()
    assert len(strokes_of(open_page)) == 2
    open_page.execute_script("arguments[0].focus()", pad)
    ActionChains(open_page).send_keys(Keys.BACKSPACE).perform()
    hand = ActionChains(open_page, duration=5)
    hand.move_by_offset(40, 40).move_by_offset(0, 40).release().perform()
    assert strokes_of(open_page) == first
    draw(open_page, STROKES[4][1:])
    assert len(strokes_of(open_page)) == 2


def test_a_second_finger_is_left_out(open_page):
    pad = open_page.find_element("id", "pad")
    box = open_page.execute_script("return arguments[0].getBoundingClientRect().toJSON()", pad)

    def touch(kind, *fingers):
        points = [{"x": box["x"] + x, "y": box["y"] + y, "id": i} for i, (x, y) in enumerate(fingers)]
        open_page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", (80, 60))
    touch("touchStart", (80, 60), (200, 60))
    for y in range(80, 240, 20):
        touch("touchMove", (80, y), (200, y))
    touch("touchEnd")
    (stroke,) = strokes_of(open_page)
    assert len(stroke) >= 5
    assert max(x for x, _ in stroke) - min(x for x, _ in stroke) < 5


def test_a_mouse_stroke_lifts_the_keyboard_s_pen(open_page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    open_page.execute_script("arguments[0].focus()", open_page.find_element("id", "pad"))
    ActionChains(open_page).send_keys(Keys.SPACE, Keys.ARROW_LEFT).perform()
    draw(open_page, STROKES[7])
    before = strokes_of(open_page)
    assert len(before) == 2
    ActionChains(open_page).send_keys(Keys.ARROW_LEFT).perform()
    assert strokes_of(open_page) == before


def test_everything_can_be_reached_with_the_tab_key_and_has_a_name(open_page):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    reached = []
    for _ in range(3):
        ActionChains(open_page).send_keys(Keys.TAB).perform()
        reached.append(open_page.switch_to.active_element.get_attribute("id"))
    assert reached == ["pad", "undo", "clear"]
    unnamed = "return [...document.querySelectorAll('[role=img]')].filter((e) => !e.getAttribute('aria-label')).length"
    assert open_page.execute_script(unnamed) == 0
    assert open_page.find_element("id", "verdict").get_attribute("aria-live") == "polite"


# --- How it looks ---


@pytest.mark.parametrize("width", [250, 320, 360, 768, 1400])
def test_it_fits_the_screen(open_page, width):
    size = {"width": width, "height": 700, "deviceScaleFactor": 1, "mobile": width < 700}
    open_page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert open_page.execute_script("return document.documentElement.scrollWidth") <= width
        draw(open_page, STROKES[7])
        assert text_of(open_page, "verdict").startswith("It reads 7, ")
    finally:
        open_page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_by_day_and_by_night(open_page, scheme):
    """A contrast of at least 4.5, as WCAG 2.1 asks for at level AA."""
    feature = [{"name": "prefers-color-scheme", "value": scheme}]
    open_page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature})
    try:
        script = "return ['body', 'p', 'h1', 'button'].map((s) => getComputedStyle(document.querySelector(s)).color)"
        texts = open_page.execute_script(script)
        paper = luminance(open_page.execute_script("return getComputedStyle(document.body).backgroundColor"))
    finally:
        open_page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert (paper > 0.5) == (scheme == "light")
    for text in map(luminance, texts):
        assert (max(text, paper) + 0.05) / (min(text, paper) + 0.05) >= 4.5


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


# --- How it is built ---


def take_apart(text):
    """Return the page `text` without its numbers and their hash, and the numbers, float32 [n]. Its hashes are right."""
    for tag in ("style", "script"):
        own = page.hash_of(re.search(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)[1])
        assert f"{tag}-src '{own}'" in text
    encoded = re.search(r'atob\("(.*?)"\)', text)[1]
    return text.replace(own, "").replace(encoded, ""), np.frombuffer(base64.b64decode(encoded), dtype="<f4")


def test_the_committed_page_is_the_one_that_is_built(net):
    (theirs, committed), (ours, built) = take_apart(page.PAGE.read_text(encoding="utf-8")), take_apart(page.build(net))
    assert theirs == ours
    assert committed.size == 6456
    # Another processor may round the last place of a float32 the other way: one part in 2**23.
    np.testing.assert_allclose(built, committed, rtol=2e-7, atol=0)


def test_batchnorm_is_folded_to_the_last_place():
    """Also where the two parts of the summand all but cancel, which takes four places from what float32 has."""
    generator = np.random.default_rng(0)
    variance, factor, mean = (generator.uniform(0.5, 2, 64).astype(np.float32).astype(float) for _ in range(3))
    layer = torch.nn.BatchNorm2d(64, eps=0)
    for name, values in {
        "weight": factor * np.sqrt(variance),
        "bias": mean * factor * 1.0001,
        "running_mean": mean,
        "running_var": variance,
    }.items():
        getattr(layer, name).data = torch.from_numpy(values).float()
    (_,), numbers = page.layers_of(torch.nn.Sequential(torch.nn.Sequential(layer)))
    weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
    factors = weight / np.sqrt(variance)
    assert numbers.dtype == torch.float32
    # One rounding to float32 is off by at most one part in 2**24; two float64 may round to neighbours.
    np.testing.assert_allclose(numbers, np.concatenate([factors, bias - mean * factors]), rtol=2e-7, atol=0)


def test_it_names_no_address_and_no_placeholder():
    text = page.PAGE.read_text(encoding="utf-8")
    assert not re.search(r"https?://|src=|href=|url\(|@import", text)
    assert not re.search(r"%[A-Z_]+%", text)
    assert "default-src 'none'" in text


# What the page cannot do: the layer, and which of its settings it is.
REFUSED = {
    "a bias": (torch.nn.Conv2d(1, 2, 3), "bias"),
    "a stride": (torch.nn.Conv2d(1, 2, 3, stride=2, bias=False), "stride"),
    "a stride down alone": (torch.nn.Conv2d(1, 2, 3, stride=(2, 1), bias=False), "stride"),
    "dilation": (torch.nn.Conv2d(1, 2, 3, dilation=2, bias=False), "dilation"),
    "a kernel that is not square": (torch.nn.Conv2d(1, 2, (3, 1), bias=False), "kernel_size"),
    "unequal padding": (torch.nn.Conv2d(1, 2, 3, padding=(1, 0), bias=False), "padding"),
    "padding by name": (torch.nn.Conv2d(1, 2, 3, padding="same", bias=False), "padding"),
    "padding with what is there": (torch.nn.Conv2d(1, 2, 3, padding_mode="reflect", bias=False), "padding_mode"),
    "a maximum of what overlaps": (torch.nn.MaxPool2d(3, stride=2), "stride"),
    "a maximum with padding": (torch.nn.MaxPool2d(2, padding=1), "padding"),
    "a maximum with dilation": (torch.nn.MaxPool2d(2, dilation=2), "dilation"),
    "a maximum at a torn edge": (torch.nn.MaxPool2d(3, ceil_mode=True), "ceil_mode"),
    "a maximum that is not square": (torch.nn.MaxPool2d((2, 1)), "kernel_size"),
    "a mean of what overlaps": (torch.nn.AvgPool2d(3, stride=1), "stride"),
    "a mean with padding": (torch.nn.AvgPool2d(2, padding=1), "padding"),
    "a mean at a torn edge": (torch.nn.AvgPool2d(3, ceil_mode=True), "ceil_mode"),
    "a mean that is not square": (torch.nn.AvgPool2d((1, 2)), "kernel_size"),
    "a mean by another number": (torch.nn.AvgPool2d(2, divisor_override=3), "divisor_override"),
    "BatchNorm without factors": (torch.nn.BatchNorm2d(2, affine=False), "affine"),
    "BatchNorm by the batch": (torch.nn.BatchNorm2d(2, track_running_stats=False), "track_running_stats"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_setting_that_the_page_cannot_do_is_refused(case):
    layer, setting = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(f"model has the layer {layer}, whose {setting} the page cannot do")):
        page.build(torch.nn.Sequential(torch.nn.Sequential(layer)))


def test_a_layer_that_the_page_does_not_know_is_refused():
    model = Net()
    model.shrink[1] = torch.nn.Tanh()
    with pytest.raises(ValueError, match=r"layer Tanh\(\), which the page does not know"):
        page.build(model)
