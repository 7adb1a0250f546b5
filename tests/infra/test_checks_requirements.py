"""What `make lint-infra` installs is pinned with hashes, and holds what the list asks for."""

import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "infra"


def test_both_linters_are_pinned_by_hash_as_everything_they_need() -> None:
    asked = re.findall(r"^[a-z].*$", (FOLDER / "checks-requirements.in").read_text("utf-8"), re.MULTILINE)
    assert asked == ["cfn-lint", "checkov"]
    text = (FOLDER / "checks-requirements.txt").read_text("utf-8")
    entries = re.split(r"^(?=[a-z])", re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]
    assert len(entries) > 50
    for entry in entries:
        assert re.match(r"[a-z0-9._-]+(\[[a-z,]+\])?==[^ *]+ (; .+ )?\\\n    --hash=sha256:[0-9a-f]{64}", entry), entry
    assert {"cfn-lint", "checkov"} <= {entry.partition("==")[0] for entry in entries}
    # Where packages come from is the user's business.
    assert not re.search(r"://|^-", text, re.MULTILINE)
