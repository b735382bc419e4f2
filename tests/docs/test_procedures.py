"""Each procedure of operations names the test that carries it out, or shows what a run printed."""

from __future__ import annotations

import re

import pytest

from tests.docs.documents import ROOT, iter_blocks, list_links, read_document

_SHOWN_BY = re.compile(r"^<!-- shown by: (?P<file>[\w/]+\.py)::(?P<test>\w+) -->$", re.MULTILINE)
INDEX = "docs/operations.md"
# Pages that explain what is seen and what it means have no procedure of their own.
EXPLAINING = {
    "needs",
    "monitoring",
    "on_call",
    "predictions",
    "clusters",
    "deploy",
    "check",
    "console",
}


def list_tasks() -> list[str]:
    """Return the pages that the index names, without those that hold no procedure."""
    names = {target.partition("#")[0].removesuffix(".md") for target in list_links(INDEX)}
    return sorted(name for name in names - EXPLAINING if "/" not in name)


@pytest.mark.parametrize("task", list_tasks())
def test_a_procedure_is_carried_out_by_a_test_or_shown_by_a_run(task: str) -> None:
    document = f"docs/{task}.md"
    text = read_document(document)
    shown = [(match["file"], match["test"]) for match in _SHOWN_BY.finditer(text)]

    for file, test in shown:
        assert f"def {test}(" in (ROOT / file).read_text(), f"{document}: {file}::{test}"
    named = re.findall(r"`tests/[\w/]+\.py`", text)
    assert shown or named or any(iter_blocks(document, "text")), document
    assert text.count("<!-- shown by:") == len(shown), f"{document}: a comment of another form"


def test_the_index_names_each_task_of_operations() -> None:
    assert set(list_tasks()) >= {
        "start",
        "upgrades",
        "change_a_model",
        "reprocess",
        "move_a_checkpoint",
        "more_partitions",
        "disaster",
        "capacity",
        "restarts",
    }
