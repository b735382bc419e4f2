"""Docstrings are understood alone: none of their parts needs the name beside it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documents import ROOT

FOLDERS = ("lib", "jobs", "benchmarks")
# A description of an argument, or a first line, that begins so has no noun or verb of its own.
_FRAGMENT = re.compile(
    r"(of|for|from|with|as|by|in|at|to|on|between|before|after|since|within|likewise"
    r"|that|which|whose|whom|told|asked|is|are|the same(?= as| of| for|[.,;]))\b",
    re.IGNORECASE,
)
# An error's description needs a subject: "the file is missing", and not "names the file".
_NO_SUBJECT = re.compile(r"(says|names|lists|quotes|tells|shows|likewise)\b")
# A function does something, so its docstring begins with a verb.
_NO_VERB = re.compile(r"(the|an?|one|all|every|each|both|whether|what|how|where|why)\b", re.I)
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")
_ENTRY = re.compile(r"^    ([\w, *]+): (.+)$")


def list_fragments(text: str, *, is_function: bool = False) -> Iterator[str]:
    """The lines of a docstring that are not understood alone."""
    first, *lines = text.splitlines()
    if _FRAGMENT.match(first) or (is_function and _NO_VERB.match(first)):
        yield first
    section = ""
    for line in lines:
        if match := _SECTION.match(line):
            section = match[1]
        elif line and not line.startswith(" "):
            section = ""
        elif match := _ENTRY.match(line):
            rule = _NO_SUBJECT if section == "Raises" else _FRAGMENT
            if section in ("Args", "Attributes", "Raises") and rule.match(match[2]):
                yield line.strip()


def is_function(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    return not any("property" in ast.unparse(decorator) for decorator in node.decorator_list)


def list_files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_docstring_has_a_fragment() -> None:
    found = []
    for path in list_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or "-"
                place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
                fragments = list_fragments(text, is_function=is_function(node))
                found += [f"{place} {line}" for line in fragments]

    assert found == []


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("Of a dead letter whose record is valid.", "Of a dead letter whose record is valid."),
        ("The same as before.", "The same as before."),
        ("Send.\n\nArgs:\n    delivery: of the job.\n", "delivery: of the job."),
        ("Send.\n\nArgs:\n    topic: which exists.\n    n: rows.\n", "topic: which exists."),
        ("Row.\n\nAttributes:\n    key: for the stamp.\n", "key: for the stamp."),
        ("Check.\n\nRaises:\n    ModelError: names the file.\n", "ModelError: names the file."),
        ("The rows of a table.", "The rows of a table."),
        ("Whether it is there.", "Whether it is there."),
    ],
)
def test_a_fragment_is_found(text: str, fragment: str) -> None:
    assert list(list_fragments(text, is_function=True)) == [fragment]


@pytest.mark.parametrize(
    "text",
    [
        "Return the rows of a table.\n\nArgs:\n    forms: the forms.\n\nRaises:\n    E: no file.\n",
        "Send.\n\nExample:\n    topic: of the job\n",
    ],
)
def test_a_sentence_is_no_fragment(text: str) -> None:
    assert list(list_fragments(text, is_function=True)) == []
