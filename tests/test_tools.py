"""What make runs: `verify`, for a grader in a hurry, `variations`, the tests as on other machines, and `repo`."""

import functools
import os
import re
import shutil
import subprocess
import sys

import pytest
import torch
import yaml  # a requirement of JupyterLab's
from helpers import ROOT

from tools import repo, variations, verify
from web import build as page


@pytest.mark.numeric
def test_verify_finds_the_claim_true(capsys):
    assert verify.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("ok     ") for line in lines)
    assert "6,456 parameters" in lines[0]
    correct = re.search(r"classifies ([\d,]+) of 10,000 test images", lines[3])[1]
    assert int(correct.replace(",", "")) > 9940


def wrong_parameters(monkeypatch, _):
    monkeypatch.setattr(verify, "PARAMETERS", 6455)


def wrong_table(monkeypatch, folder):
    (folder / "table.txt").write_text(verify.TABLE.read_text(encoding="utf-8").replace("1,152", "1,153"))
    monkeypatch.setattr(verify, "TABLE", folder / "table.txt")


def missing_data(monkeypatch, folder):
    shutil.copytree(ROOT / "data", folder / "data")
    (folder / "data" / "MNIST" / "raw" / "t10k-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setattr(verify, "ROOT", folder)
    monkeypatch.setattr(verify, "check_accuracy", lambda: (True, "not looked at"))  # it would download what is missing


def wrong_weights(monkeypatch, _):
    net = verify.load_net()
    with torch.no_grad():
        net.digits[-1].weight.neg_()
    monkeypatch.setattr(verify, "load_net", lambda: net)


def missing_weights(monkeypatch, folder):
    monkeypatch.setattr(verify, "load_net", functools.partial(verify.load_net, folder / "none.pt"))


@pytest.mark.parametrize(
    ("fault", "line", "words"),
    [
        (wrong_parameters, 0, "6,456 parameters"),
        (wrong_table, 1, "differs from the reference's: +Conv2d-24"),
        (missing_data, 2, "wrong or missing: t10k-labels-idx1-ubyte.gz"),
        (wrong_weights, 3, r"classifies \d{1,3} of 10,000"),
        (missing_weights, 3, "none.pt"),
    ],
)
def test_verify_tells_what_is_wrong_and_goes_on(monkeypatch, tmp_path, capsys, fault, line, words):
    fault(monkeypatch, tmp_path)
    assert verify.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert [number for number, text in enumerate(lines) if text.startswith("WRONG ")] == [line]
    assert re.search(words, lines[line])
    assert len(lines) == 4


def test_make_verify_is_the_same_from_anywhere(tmp_path):
    done = subprocess.run([sys.executable, "-m", "tools.verify"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("ok  ") == 4


@pytest.mark.parametrize(
    ("line", "counts"),
    [
        ("353 passed, 4 skipped, 26 deselected in 143.21s (0:02:23)", (353, 0, 4)),
        ("2 failed, 1 passed, 3 warnings, 1 error in 0.50s", (1, 3, 0)),
        ("5 errors in 0.12s", (0, 5, 0)),
        ("no tests ran in 0.01s", (0, 0, 0)),
        ("", (0, 0, 0)),
    ],
)
def test_the_closing_line_is_counted(line, counts):
    assert tuple(variations.counts_of(line).values()) == counts


TEST = """
import os
def test_threads():
    assert os.environ.get("OMP_NUM_THREADS") != "4"
def test_passes():
    pass
"""


def test_a_variation_that_fails_is_seen(tmp_path, monkeypatch, capsys):
    (tmp_path / "test_it.py").write_text(TEST)
    monkeypatch.setattr(variations, "ROOT", tmp_path)
    monkeypatch.setattr("sys.argv", ["variations.py"])
    some = ("two threads", "four threads", "torch with AVX2")
    monkeypatch.setattr(variations, "VARIATIONS", {name: variations.VARIATIONS[name] for name in some})
    monkeypatch.setenv("OMP_NUM_THREADS", "4")  # is not to reach the variations that do not set it
    assert variations.main() == 1
    table = capsys.readouterr().out.split("variation ")[-1].splitlines()[1:]
    assert len(table) == len(some)
    for row in table:
        assert row.split()[-3:] == (["1", "1", "0"] if row.startswith("four threads") else ["2", "0", "0"])


def test_no_test_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr(variations, "ROOT", tmp_path)
    monkeypatch.setattr(variations, "VARIATIONS", {"nothing set": {}})
    monkeypatch.setattr("sys.argv", ["variations.py"])
    assert variations.main() == 1


@pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize(("tests", "notebook"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_make_test_runs_both_and_fails_where_either_does(tmp_path, tests, notebook):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "ran $*"\ncase "$*" in *nbval*) exit {notebook};; *) exit {tests};; esac\n')
    python.chmod(0o755)
    for name in ("Makefile", "requirements.lock"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".venv" / "installed").touch()
    done = subprocess.run(["make", "test"], cwd=tmp_path, capture_output=True, text=True)
    ran = [line for line in done.stdout.splitlines() if line.startswith("ran ")]
    assert ran == ["ran -m pytest", "ran -m pytest --nbval-lax MNIST_6k.ipynb"]
    assert (done.returncode == 0) == (tests == notebook == 0)


@pytest.mark.skipif(os.name == "nt" or not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize("terminal", [True, False])
def test_make_install_shows_pip_s_progress_on_a_terminal_alone(tmp_path, terminal):
    """In the log of a machine that builds, it stays short; but that something long has begun is said in both."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.lock").touch()
    python = tmp_path / "python"  # makes a .venv whose Python is the same script, which tells what it is to do
    python.write_text('#!/bin/sh\necho "ran $*"\ncase "$*" in *venv*) mkdir -p .venv/bin; cp python .venv/bin;; esac\n')
    python.chmod(0o755)
    command = ["make", "install", "PYTHON=./python"]
    if terminal:
        import pty

        ours, theirs = pty.openpty()
        done = subprocess.run(command, cwd=tmp_path, stdout=theirs, stderr=theirs)
        os.close(theirs)
        printed = os.read(ours, 100_000).decode()
        os.close(ours)
    else:
        done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        printed = done.stdout
    assert done.returncode == 0
    assert "Installing the locked packages into .venv, about 6.6 GB: this takes some minutes." in printed
    (pip,) = (line for line in printed.splitlines() if line.startswith("ran -m pip install"))
    assert ("--quiet" in pip) == (not terminal)
    assert "--require-hashes -r requirements.lock" in pip
    assert (tmp_path / ".venv" / "installed").exists()


# --- The page, published ---


def links_to_the_page(text):
    return re.findall(r"\]\((web/draw\.html|[^)]*github\.io[^)]*)\)", text)


def test_make_repo_links_to_the_published_page(tmp_path):
    for name in repo.FILES:
        shutil.copy(ROOT / name, tmp_path)
    readme = tmp_path / "README.md"
    links = links_to_the_page(readme.read_text(encoding="utf-8"))
    assert len(links) == 2  # of the picture and of the text
    for owner in ("some-body", "x"):  # a copy of the copy, too
        repo.set_owner(owner, tmp_path)
        text = readme.read_text(encoding="utf-8")
        assert links_to_the_page(text) == [f"https://{owner}.github.io/{repo.NAME}/"] * 2
        assert "`web/draw.html`" in text  # a name, and no link


def test_before_make_repo_the_link_is_the_file():
    owners = repo.owners((ROOT / "README.md").read_text(encoding="utf-8"))
    links = set(links_to_the_page((ROOT / "README.md").read_text(encoding="utf-8")))
    assert links == ({"web/draw.html"} if owners == ["OWNER"] else {f"https://{owners[0]}.github.io/{repo.NAME}/"})


@pytest.mark.skipif(os.name == "nt", reason="runs the workflow's commands in a shell")
def test_what_is_published_on_a_push_to_main_is_the_page(tmp_path):
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "pages.yml").read_text(encoding="utf-8"))
    assert workflow[True] == {"push": {"branches": ["main"]}}  # YAML takes "on" for a truth value
    assert workflow["concurrency"] == {"group": "pages", "cancel-in-progress": False}
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    for command in (step["run"] for step in build["steps"] if "run" in step):
        subprocess.run(["sh", "-e", "-c", command], cwd=tmp_path, check=True)
    (site,) = (step["with"]["path"] for step in build["steps"] if "upload-pages-artifact" in step.get("uses", ""))
    assert [path.name for path in (tmp_path / site).iterdir()] == ["index.html"]
    assert (tmp_path / site / "index.html").read_bytes() == page.PAGE.read_bytes()
    assert deploy["needs"] == "build"
    assert deploy["environment"]["name"] == "github-pages"
    assert [step["uses"].split("@")[0] for step in deploy["steps"]] == ["actions/deploy-pages"]
