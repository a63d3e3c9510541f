"""`make verify`: each claim is checked, and a wrong one is reported."""

import re

import pytest

from model import Net
from tools import verify


def raise_os_error(root):
    raise OSError("t10k-labels-idx1-ubyte.gz cannot be used")


@pytest.mark.numeric
def test_verify_confirms_the_claims(capsys):
    assert verify.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:6] for line in lines] == ["ok    "] * 4
    assert int(re.search(r"([\d,]+) of 10,000", lines[3])[1].replace(",", "")) > 9940


@pytest.mark.parametrize(
    ("name", "wrong", "found"),
    [
        ("tools.verify.load_net", Net, r"WRONG [\d,]+ of 10,000 test images"),  # not trained
        ("torchsummary.summary", lambda *_, device: print("another table"), "WRONG the table of layers differs"),
        ("utils.load_mnist", raise_os_error, r"WRONG t10k-labels-idx1-ubyte\.gz"),
    ],
)
def test_verify_reports_what_is_wrong(monkeypatch, capsys, name, wrong, found):
    monkeypatch.setattr(name, wrong)
    assert verify.main() == 1
    assert re.search(found, capsys.readouterr().out)
