"""What could run somebody else's code, and does not: loading, shells, actions, packages."""

import ast
import re

import pytest
import yaml  # a requirement of JupyterLab's
from helpers import ROOT

# Every file but the tests, which load hostile files on purpose, and what is not of this repository.
SOURCES = [path for path in sorted(ROOT.rglob("*.py")) if not {"tests", ".venv", "build"} & set(path.parts)]


def calls(source):
    """Return every call in `source` as its function's last name and its text."""
    tree = ast.parse(source)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(ast.unparse(node.func), ast.unparse(node)) for node in found]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_and_no_shell_is_built(path):
    for function, call in calls(path.read_text(encoding="utf-8")):
        assert function not in {"eval", "exec", "os.system", "os.popen", "subprocess.getoutput"}, call
        assert not re.search(r"\b(pickle|joblib|marshal|shelve)\.loads?$", function), call
        assert "shell=True" not in call, call
        assert "torch.load" not in function or "weights_only=True" in call, call
        assert not function.endswith("np.load") or "allow_pickle" not in call, call


def test_what_loads_files_is_looked_at():
    looked_at = {path.relative_to(ROOT).as_posix() for path in SOURCES}
    assert {
        "utils.py",
        "training/checkpoint.py",
        "deploy/__init__.py",
        "reader/samples/synthetic_photos.py",
    } <= looked_at


# What a job may do beyond reading: publish the page.
MORE = {("pages.yml", "deploy"): {"pages": "write", "id-token": "write"}}


def test_every_action_is_pinned_by_commit_and_the_token_can_only_read():
    paths = sorted((ROOT / ".github" / "workflows").iterdir())
    assert [path.name for path in paths] == ["ci.yml", "pages.yml"]
    for path in paths:
        text = path.read_text(encoding="utf-8")
        used = re.findall(r"uses: *(\S+)", text)
        assert used
        assert [action for action in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            assert job.get("permissions") == MORE.get((path.name, name)), name
            for step in job["steps"]:
                checkout = step.get("uses", "").startswith("actions/checkout@")
                assert not checkout or step["with"]["persist-credentials"] is False, name


def test_every_package_in_the_lock_has_its_hash():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    packages = [line for line in lines if "==" in line]
    assert len(packages) > 50
    assert [package for package in packages if "--hash=sha256:" not in package] == []
    assert "--require-hashes" in (ROOT / "Makefile").read_text(encoding="utf-8")
