"""Build the page: it computes what PyTorch computes, and refuses models that it cannot compute."""

import base64
import contextlib
import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import utils
from experiments.exercises import half_net
from model import Net, load_net
from web import build, check


def test_logits_equal_pytorch(open_page, mnist):
    found, expected = check.compare_with_pytorch(load_net(), mnist[1].images[:200].cpu(), open_page)
    # The order of summation differs. Logits reach 30, where float32 has steps of 2e-6, and errors of layers add up.
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)


def test_feature_maps_equal_pytorch(open_page, mnist):
    image = mnist[1].images[:1].cpu()
    expected, features = {}, utils.normalize(image)
    with torch.inference_mode():
        for name, stage in load_net().named_children():
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
    browser.get((tmp_path / "other.html").as_uri())
    images = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    found, expected = check.compare_with_pytorch(model.eval(), images, browser)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert f"{sum(p.numel() for p in model.parameters())} parameters" in browser.title


def test_committed_page_is_up_to_date():
    row = pd.read_csv(check.CHECK).iloc[0].to_dict()
    assert row["images"] == row["same_digit"] == 10_000
    pages = build.PAGE.read_text(encoding="utf-8"), build.build(load_net(), row)
    encoded = [re.search(r'atob\("(.*?)"\)', text)[1] for text in pages]
    committed, built = (np.frombuffer(base64.b64decode(weights), dtype="<f4") for weights in encoded)
    assert committed.size == 6456
    # Another processor may round the last bit of a float32 the other way: one part in 2**23.
    np.testing.assert_allclose(built, committed, rtol=2e-7, atol=0)
    found, expected = (re.sub(r"""sha256-[^']*|atob\(".*?"\)""", "", text) for text in pages)
    assert found == expected


def test_embedded_page_shows_a_flat_sequential():
    """Each convolution or pooling begins a stage, unless it follows one."""
    frame = build.EmbeddedPage(half_net(), height=700)._repr_html_()
    assert frame.count("<") == 2  # <iframe …></iframe>
    assert "height: 700px" in frame
    stages = re.findall(r"&quot;ends&quot;:&quot;(\d+)&quot;", frame)
    assert stages == ["0", "4", "8", "13", "18", "23", "27", "31", "36", "41"]


def test_build_compares_the_page_with_pytorch_or_says_that_it_did_not(monkeypatch, browser, mnist, tmp_path, capsys):
    few = mnist[1]._replace(images=mnist[1].images[:20].cpu())
    monkeypatch.setattr(utils, "load_mnist", lambda root: (None, few))
    monkeypatch.setattr(build, "PAGE", tmp_path / "draw.html")
    monkeypatch.setattr(check, "CHECK", tmp_path / "page_check.csv")
    monkeypatch.setattr(check, "open_chrome", lambda: contextlib.nullcontext(browser))
    monkeypatch.setattr(check, "has_chrome", lambda: True)
    build.main()
    assert pd.read_csv(check.CHECK)["images"].item() == 20
    assert "on all 20 test images" in build.PAGE.read_text(encoding="utf-8")
    with pytest.raises(SystemExit, match=r"differ from PyTorch's by .*, more than 1e-04"):
        check.check_page(Net().eval(), build.PAGE)  # the page has other weights
    monkeypatch.setattr(check, "has_chrome", lambda: False)
    build.main()
    assert "not compared with PyTorch" in capsys.readouterr().out
    assert "<footer>" not in build.PAGE.read_text(encoding="utf-8")
    assert not check.CHECK.exists()


class Doubled(Net):
    def forward(self, images):
        return 2 * super().forward(images)


def before_conv(layer):
    """Return a model of `layer` and a convolution that turns its output into ten logits."""
    channels, *size = layer(torch.rand(1, 1, 28, 28)).shape[1:]
    return nn.Sequential(layer, nn.Conv2d(channels, 10, size))


diverged = Net()
diverged.edges[0].weight.data[0] = torch.nan
REFUSED = {
    "stride is": before_conv(nn.Conv2d(1, 2, 3, stride=(2, 1))),
    "padding is 'same'": before_conv(nn.Conv2d(1, 2, 3, padding="same")),
    r"MaxPool2d.*stride is": before_conv(nn.MaxPool2d(3, stride=2)),
    r"AvgPool2d.*ceil_mode is": before_conv(nn.AvgPool2d(3, ceil_mode=True)),
    "track_running_stats is": before_conv(nn.BatchNorm2d(1, track_running_stats=False)),
    r"0 contains Tanh\(\); the page can compute Conv2d": before_conv(nn.Tanh()),
    "Doubled.forward does more than apply its layers": Doubled(),
    r"turns 4 images into \[4, 11, 1, 1\]; the page needs ten outputs": nn.Sequential(nn.Conv2d(1, 11, 28)),
    "cannot be applied to images .* 3 channels": nn.Sequential(nn.Conv2d(3, 10, 28)),
    "stage 0 computes nothing": nn.Sequential(nn.Sequential(nn.Dropout()), nn.Conv2d(1, 10, 28)),
    "NaN": diverged,
}


@pytest.mark.parametrize("words", REFUSED)
def test_build_refuses_what_the_page_cannot_compute(words):
    with pytest.raises(ValueError, match=words):
        build.build(REFUSED[words])
