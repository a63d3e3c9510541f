"""Build the page: it computes what PyTorch computes, and refuses models that it cannot compute."""

import base64
import contextlib
import re

import numpy as np
import pytest
import torch
from torch import nn

import utils
from experiments.exercises import half_net
from model import Net
from web import build, check

# --- The forward pass ---


def test_logits_equal_pytorch(open_page, net, mnist):
    found, expected = check.compare_with_pytorch(net, mnist[1].images[:200].cpu(), open_page)
    # The order of summation differs. Logits reach 30, where float32 has steps of 2e-6, and errors of layers add up.
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_feature_maps_equal_pytorch(open_page, net, mnist):
    image = mnist[1].images[:1].cpu()
    expected, features = {}, utils.normalize(image)
    with torch.inference_mode():
        for name, stage in net.named_children():
            features = expected[name] = stage(features)
    script = "return forward(arguments[0]).stages.map(({ name, data }) => [name, Array.from(data)])"
    stages = dict(open_page.execute_script(script, (image.flatten().float() / 255).tolist()))
    assert list(stages) == list(expected)
    for name, values in stages.items():
        torch.testing.assert_close(torch.tensor(values), expected[name].flatten(), atol=1e-4, rtol=1e-4)


def test_another_model_equals_pytorch(browser, tmp_path):
    """Biases, padding, groups and pooling that `Net` does not have, and sizes not divisible by the pooling's kernel."""
    torch.manual_seed(0)
    first = [nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3)]  # 28 → 9
    second = [nn.Conv2d(4, 10, 2, groups=2, bias=False), nn.BatchNorm2d(10), nn.AvgPool2d((7, 7), 7)]
    model = nn.Sequential(nn.Sequential(*first), nn.Sequential(*second), nn.Flatten())
    for values in second[1].state_dict().values():
        values.copy_(torch.rand(values.shape) + 0.5)
    (tmp_path / "other.html").write_text(build.build(model), encoding="utf-8")
    assert model.training  # as before
    model.eval()
    image = torch.randint(0, 256, (1, 1, 28, 28), dtype=torch.uint8)
    with torch.inference_mode():
        expected = [stage[0] for stage in (model[0](utils.normalize(image)), model[:2](utils.normalize(image)))]
    browser.get((tmp_path / "other.html").as_uri())
    script = "return forward(arguments[0]).stages.map(({ channels, size, data }) => [channels, size, Array.from(data)])"
    stages = browser.execute_script(script, (image.flatten().float() / 255).tolist())
    for (channels, size, values), output in zip(stages, expected, strict=True):
        assert [channels, size, size] == list(output.shape)
        torch.testing.assert_close(torch.tensor(values), output.flatten(), atol=1e-4, rtol=1e-4)
    assert f"{sum(p.numel() for p in model.parameters())} parameters" in browser.title


# --- The file ---


def take_apart(text):
    """Return the page `text` without its weights and their hash, and the weights, float32 [n]. Checks the hashes."""
    for tag in ("style", "script"):
        own = build.csp_hash(re.search(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)[1])
        assert f"{tag}-src '{own}'" in text
    encoded = re.search(r'atob\("(.*?)"\)', text)[1]
    return text.replace(own, "").replace(encoded, ""), np.frombuffer(base64.b64decode(encoded), dtype="<f4")


def test_committed_page_is_up_to_date(net):
    expected, committed = take_apart(build.PAGE.read_text(encoding="utf-8"))
    row = check.read_check()
    assert row["images"] == row["same_digit"] == "10000"
    found, built = take_apart(build.build(net, row))
    assert found == expected
    assert committed.size == 6456
    # Another processor may round the last bit of a float32 the other way: one part in 2**23.
    np.testing.assert_allclose(built, committed, rtol=2e-7, atol=0)


def test_embedded_page_shows_a_flat_sequential():
    """Each convolution or pooling begins a stage, unless it follows one."""
    frame = build.EmbeddedPage(half_net(), height=700)._repr_html_()
    assert frame.count("<") == 2  # <iframe …></iframe>
    assert "height: 700px" in frame
    assert re.findall(r"&quot;ends&quot;: &quot;(\d+)&quot;", frame) == [
        "0",
        "4",
        "8",
        "13",
        "18",
        "23",
        "27",
        "31",
        "36",
        "41",
    ]


# --- The comparison with PyTorch ---


@pytest.fixture
def own_files(monkeypatch, tmp_path):
    """The build writes page and check into a folder of the test's."""
    monkeypatch.setattr(build, "PAGE", tmp_path / "draw.html")
    monkeypatch.setattr(check, "CHECK", tmp_path / "page_check.csv")


def test_build_without_chromium_says_so_and_omits_the_check(monkeypatch, own_files, capsys):
    monkeypatch.setattr("web.browser.has_chrome", lambda: False)
    check.CHECK.write_text("of an earlier page")
    build.main()
    assert "not compared with PyTorch" in capsys.readouterr().out
    assert "<footer>" not in build.PAGE.read_text(encoding="utf-8")
    assert not check.CHECK.exists()


@pytest.mark.usefixtures("own_files")
def test_build_compares_the_page_with_pytorch(monkeypatch, browser, mnist):
    few = mnist[1]._replace(images=mnist[1].images[:20].cpu())
    monkeypatch.setattr(utils, "load_mnist", lambda root: (None, few))
    monkeypatch.setattr("web.browser.open_chrome", lambda: contextlib.nullcontext(browser))
    build.main()
    assert check.read_check()["images"] == "20"
    assert "on all 20 test images" in build.PAGE.read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match=r"differ from PyTorch's by .*, more than 1e-04"):
        check.check_page(Net().eval(), build.PAGE)  # the page has other weights


# --- Models that the page cannot compute ---


class Doubled(Net):
    def forward(self, images):
        return 2 * super().forward(images)


def conv(channels_in=1, channels_out=10):
    return nn.Conv2d(channels_in, channels_out, 28)


def before_conv(layer):
    """Return a model of `layer` and a convolution that turns its output into ten logits."""
    channels, *size = layer(torch.rand(1, 1, 28, 28)).shape[1:]
    return nn.Sequential(layer, nn.Conv2d(channels, 10, size))


def untrainable():
    net = Net()
    net.edges[0].weight.data[0] = torch.nan
    return net


REFUSED = {
    "stride is": before_conv(nn.Conv2d(1, 2, 3, stride=(2, 1))),
    "dilation is": before_conv(nn.Conv2d(1, 2, 3, dilation=2)),
    "kernel_size is": before_conv(nn.Conv2d(1, 2, (3, 1))),
    "padding is 'same'": before_conv(nn.Conv2d(1, 2, 3, padding="same")),
    "padding_mode is": before_conv(nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect")),
    r"MaxPool2d.*stride is": before_conv(nn.MaxPool2d(3, stride=2)),
    r"AvgPool2d.*ceil_mode is": before_conv(nn.AvgPool2d(3, ceil_mode=True)),
    r"divisor_override is": before_conv(nn.AvgPool2d(2, divisor_override=3)),
    "track_running_stats is": before_conv(nn.BatchNorm2d(1, track_running_stats=False)),
    r"0 contains Tanh\(\); the page can compute Conv2d": nn.Sequential(nn.Sequential(nn.Tanh(), conv())),
    "Doubled.forward does more than apply its layers": Doubled(),
    r"turns 4 images into \[4, 11, 1, 1\]; the page needs ten outputs": nn.Sequential(conv(1, 11)),
    "cannot be applied to images .* 3 channels": nn.Sequential(conv(3)),
    "stage 0 computes nothing; remove it": nn.Sequential(nn.Sequential(), conv()),
    "stage 0 computes nothing": nn.Sequential(nn.Sequential(nn.Dropout()), conv()),
    "NaN": untrainable(),
}


@pytest.mark.parametrize("words", REFUSED)
def test_build_refuses_what_the_page_cannot_compute(words):
    with pytest.raises(ValueError, match=words):
        build.build(REFUSED[words])
