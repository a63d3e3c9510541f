"""Continuous integration runs only pinned code of others, with a token that can read."""

import re

from helpers import ROOT


def test_workflows_pin_actions_by_commit_and_are_read_only():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        actions = re.findall(r"uses: *(\S+)", text)
        assert actions
        assert [action for action in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)] == []
        assert "\npermissions:\n  contents: read\n" in text
        assert text.count("actions/checkout@") == text.count("persist-credentials: false")
