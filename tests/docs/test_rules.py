"""The rules of the sink in docs/engineering/sink_rules.md name files and tests that exist."""

from __future__ import annotations

import re

import pytest

from tests.docs.documents import ROOT, read_document

_ROW = re.compile(
    r"^\| .+ \| `([\w/.]+\.py)` \| `(test_\w+)`(?: in `([\w/.]+)`)? \|$", re.MULTILINE
)
_DEFAULT = "tests/exactly_once/transaction/test_transaction.py"


def read_table() -> str:
    return read_document("docs/engineering/sink_rules.md")


def list_rules() -> list[tuple[str, str, str]]:
    """Return (module of the sink, test, file of the test) for each rule."""
    rows = _ROW.findall(read_table())
    return [(module, test, file or _DEFAULT) for module, test, file in rows]


@pytest.mark.parametrize(("module", "test", "file"), list_rules())
def test_module_and_test_of_a_rule_exist(module: str, test: str, file: str) -> None:
    assert (ROOT / "lib" / "exactly_once" / module).is_file()
    assert f"def {test}(" in (ROOT / file).read_text()


def test_all_rules_are_found() -> None:
    _, _, *rows = [line for line in read_table().splitlines() if line.startswith("|")]
    found = [row for row in rows if not row.endswith("| the same |")]

    assert len(rows) > 30
    assert len(list_rules()) == len(found)
