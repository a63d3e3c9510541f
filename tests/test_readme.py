"""What a reader tries from the READMEs works: links, commands, and the Python example."""

import re
import shutil
import subprocess

import pytest
import torch
from helpers import ROOT

import utils
from model import Net

PAGES = [page for folder in (".", "experiments", "reader", "training", "web") for page in (ROOT / folder).glob("*.md")]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}


def test_links_and_images_exist():
    for page, text in TEXTS.items():
        text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
        targets = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r"(?:src|srcset|href)=\"([^\"#]+)\"", text)
        local = [target for target in targets if not re.match(r"https?:", target)]
        assert [target for target in local if not (page.parent / target).exists()] == [], page
        assert [target for target in targets if "OWNER" in target] == [], page


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_commands_exist():
    pattern = re.compile(r"(?:^|`|EPOCHS=1 )make ([a-z][\w-]*(?: exp-\w+)*)", re.MULTILINE)
    for targets in {targets for text in TEXTS.values() for targets in pattern.findall(text)}:
        command = ["make", "-n", *targets.split(), "OWNER=name"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for module in re.findall(r"-m experiments\.(\w+)", done.stdout):
            assert (ROOT / "experiments" / f"{module}.py").exists(), module


def test_python_example_runs(small, tmp_path, monkeypatch):
    """In an empty folder, with few images and one epoch."""
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXTS[ROOT / "README.md"], flags=re.DOTALL | re.MULTILINE)
    fit = utils.fit
    monkeypatch.setattr(utils, "load_mnist", lambda *_: small)
    monkeypatch.setattr(utils, "fit", lambda *arguments, **options: fit(*arguments, **(options | {"epochs": 1})))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    (weights,) = tmp_path.rglob("*.pt")
    Net().load_state_dict(torch.load(weights, weights_only=True))
