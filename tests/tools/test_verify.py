"""`make verify`: each claim is checked, and a wrong one is reported."""

import re

import pytest
import torch

import utils
from model import load_net
from tools import verify


@pytest.mark.numeric
def test_verify_confirms_the_claims(capsys):
    assert verify.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:6] for line in lines] == ["ok    "] * 4
    assert int(re.search(r"([\d,]+) of 10,000", lines[3])[1].replace(",", "")) > 9940


def wrong_weights(monkeypatch, folder):
    net = load_net()
    with torch.no_grad():
        net.digits[-1].weight.neg_()
    monkeypatch.setattr(verify, "load_net", lambda: net)


def wrong_table(monkeypatch, folder):
    (folder / "table.txt").write_text(verify.SUMMARY.read_text(encoding="utf-8").replace("1,152", "1,153"))
    monkeypatch.setattr(verify, "SUMMARY", folder / "table.txt")


def wrong_data(monkeypatch, folder):
    def fail(root):
        raise OSError("t10k-labels-idx1-ubyte.gz cannot be used")

    monkeypatch.setattr("utils.load_mnist", fail)


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        (wrong_weights, r"WRONG \d{1,2} of 500 test images"),
        (wrong_table, r"WRONG the table of layers differs"),
        (wrong_data, r"WRONG t10k-labels-idx1-ubyte\.gz"),
    ],
)
def test_verify_reports_what_is_wrong(small, monkeypatch, tmp_path, capsys, fault, found):
    monkeypatch.setattr("utils.load_mnist", lambda root: tuple(utils.Split(*map(torch.Tensor.cpu, s)) for s in small))
    fault(monkeypatch, tmp_path)
    try:
        status, message = verify.main(), ""
    except SystemExit as error:
        status, message = 1, str(error)
    assert status == 1
    assert re.search(found, capsys.readouterr().out + message)
