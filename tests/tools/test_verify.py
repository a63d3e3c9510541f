"""`make verify` confirms the claims, and notices a network that does not fulfil them."""

import pytest

from model import Net
from tools import verify


@pytest.mark.numeric
def test_verify_confirms_the_claims(capsys):
    assert verify.main() == 0
    assert [line[:6] for line in capsys.readouterr().out.splitlines()] == ["ok    "] * 4


def test_verify_notices_a_worse_network(monkeypatch, capsys):
    monkeypatch.setattr(verify, "load_net", Net)  # not trained
    assert verify.main() == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("WRONG ")
