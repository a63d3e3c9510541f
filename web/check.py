"""Compare the page's forward pass, in Chromium, with PyTorch's. The result is experiments/results/page_check.csv."""

import base64
import sys
from pathlib import Path

import torch

import utils
from web.browser import MISSING, has_chrome, open_chrome

ROOT = Path(__file__).resolve().parent.parent
CHECK = ROOT / "experiments" / "results" / "page_check.csv"
TOLERANCE = 1e-4  # of logits, which reach 30; float32 has steps of 2e-6 there, and errors of layers add up


def compare_with_pytorch(model, images, chrome):
    """Return the logits [N, 10] of uint8 `images` by the page that is open in `chrome`, and by PyTorch."""
    script = """
        const bytes = Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0)), logits = [];
        for (let i = 0; i < bytes.length; i += 784) {
          logits.push(Array.from(forward(Float32Array.from(bytes.subarray(i, i + 784), (byte) => byte / 255)).logits));
        }
        return logits;
    """
    logits = []
    for batch in images.split(500):
        logits += chrome.execute_script(script, base64.b64encode(batch.numpy().tobytes()).decode())
    return torch.tensor(logits), utils.compute_logits(model, images)


def check_page(model, page):
    """Compare the file `page` in Chromium with PyTorch; return a row of page_check.csv, or None without Chromium.

    Ends the program if a logit differs by more than `TOLERANCE`.
    """
    if not has_chrome():
        print(f"The page was not compared with PyTorch, and does not say so: that {MISSING}.")
        return None
    _, test = utils.load_mnist(ROOT / "data")
    with open_chrome() as chrome:
        chrome.get(page.as_uri())
        found, expected = compare_with_pytorch(model, test.images, chrome)
        browser = f"Chromium {chrome.capabilities['browserVersion'].split('.')[0]}"
    difference = (found - expected).abs().max().item()
    if not difference <= TOLERANCE:
        sys.exit(f"{page.name}: its logits differ from PyTorch's by {difference:.1e}, more than {TOLERANCE:.0e}")
    return {
        "images": len(found),
        "same_digit": int((found.argmax(dim=1) == expected.argmax(dim=1)).sum()),
        "largest_difference": f"{difference:.1e}",
        "browser": browser,
        "torch": torch.__version__,
    }
