"""What a reader tries from the READMEs works: links, commands, and the Python example."""

import re
import shutil
import subprocess

import pytest
import torch
from helpers import ROOT

import utils
from model import Net

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [page for folder in (".", "experiments", "reader", "training", "web") for page in (ROOT / folder).glob("*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_images_exist(page):
    text = re.sub(r"<!--.*?-->", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(r"(?:src|srcset|href)=\"([^\"#]+)\"", text)
    local = [target for target in targets if not re.match(r"https?:", target)]
    assert [target for target in local if not (page.parent / target).exists()] == []
    assert [target for target in targets if "OWNER" in target] == []


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_make_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    for targets in set(re.findall(r"(?:^|`|EPOCHS=1 )make ([a-z][\w-]*(?: exp-\w+)*)", text, flags=re.MULTILINE)):
        command = ["make", "-n", *targets.split(), "OWNER=name"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for module in re.findall(r"-m experiments\.(\w+)", done.stdout):
            assert (ROOT / "experiments" / f"{module}.py").exists(), module


def test_python_example_runs(small, tmp_path, monkeypatch):
    """In an empty folder, with few images and one epoch."""
    (code,) = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
    fit = utils.fit
    monkeypatch.setattr(utils, "load_mnist", lambda *_: small)
    monkeypatch.setattr(utils, "fit", lambda *arguments, **options: fit(*arguments, **(options | {"epochs": 1})))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    (weights,) = tmp_path.rglob("*.pt")
    Net().load_state_dict(torch.load(weights, weights_only=True))
