"""The page to draw on: it computes what torch computes, and is built from the weights as they are."""

import base64
import re

import numpy as np
import pytest
import torch

import utils
from model import Net
from web import build as page

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
