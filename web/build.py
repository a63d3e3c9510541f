"""Build web/draw.html, the draw-a-digit page, from web/draw.template.html and mnist_6k.pt: `python -m web.build`

The page is one file: it contains the layers and their weights as base64 (layers.py). Its content security policy allows
its own style and script, by their hashes, and nothing else. If Chromium is installed, the page is compared with PyTorch
(check.py), and its last line reports the result.
"""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from model import load_net
from training.data import MEAN, STD
from web import check
from web.layers import layers_of

HERE = Path(__file__).resolve().parent
TEMPLATE, PAGE = HERE / "draw.template.html", HERE / "draw.html"
FOOTER = (
    "<footer><p>When this page was built, its forward pass was compared with PyTorch’s on all {:,} test images of "
    "MNIST: the logits differ by at most {:.6f}.</p></footer>\n"
)


class EmbeddedPage:
    """The page with the weights of `model`, for a notebook to display in a frame, `height` pixels high until it opens.

    Takes the models that `build` takes, and raises its ValueError.
    """

    def __init__(self, model, height=1350):
        self.page, self.height = build(model), height

    def _repr_html_(self):
        style = f"width: 100%; height: {self.height}px; border: 0"
        return f'<iframe title="Draw a digit" style="{style}" srcdoc="{html.escape(self.page)}"></iframe>'


def build(model, check=None):
    """Return the page with the weights of `model`, text. Its last line reports `check`, a row of page_check.csv.

    `model` is a `Net`, or any module that turns images [N, 1, 28, 28] into ten logits by applying its children, layers
    that the page can compute or Sequentials of them, one after the other. Raises ValueError if it is not.
    """
    layers, weights = layers_of(model)
    page = TEMPLATE.read_text(encoding="utf-8")
    for name, value in {
        "LAYERS": json.dumps(layers, separators=(",", ":")),
        "WEIGHTS": base64.b64encode(weights.numpy().astype("<f4").tobytes()).decode(),
        "PARAMETERS": f"{sum(p.numel() for p in model.parameters()):,}",
        "MEAN": str(MEAN),
        "STD": str(STD),
        "CHECK": FOOTER.format(int(check["images"]), float(check["largest_difference"])) if check else "",
    }.items():
        page = page.replace(f"%{name}%", value)
    for name, tag in (("STYLE_HASH", "style"), ("SCRIPT_HASH", "script")):
        page = page.replace(f"%{name}%", csp_hash(re.search(rf"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)[1]))
    return page


def csp_hash(text):
    """Return the hash of `text` in the notation of a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def main():
    import pandas as pd  # not needed to embed the page, as the notebook does

    net = load_net()
    PAGE.write_text(build(net), encoding="utf-8")
    row = check.check_page(net, PAGE)
    check.CHECK.unlink(missing_ok=True)  # it was about another page
    if row:
        pd.DataFrame([row]).to_csv(check.CHECK, index=False, lineterminator="\n")
        PAGE.write_text(build(net, row), encoding="utf-8")
    print(f"{PAGE.name}: {PAGE.stat().st_size / 1000:.0f} kB; {row}")


if __name__ == "__main__":
    main()
