"""Docstrings and comments are understood alone: none of them needs the code beside it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documents import ROOT

FOLDERS = ("lib", "jobs", "benchmarks", "tests")
# A description that begins with one of these words is a clause or a part of a phrase.
_CLAUSE = r"what|who|whoever|whom|whose|which|how|where|when|why"
# A description of an argument, or a first line, that begins so has no noun or verb of its own.
_FRAGMENT = re.compile(
    rf"({_CLAUSE}|of|for|from|with|as|by|in|at|to|on|between|before|after|since|within|likewise"
    r"|that|told|asked|called|is|are|must|may|the same(?= as| of| for|[.,;]))\b(?!-)",
    re.IGNORECASE,
)
# An error's description needs a subject: "the file is missing", and not "names the file".
_NO_SUBJECT = re.compile(r"(says|names|lists|quotes|tells|shows|likewise|it|they)\b")
# An argument does nothing by itself: "a function that returns", and not "returns".
_VERB = re.compile(
    r"(gets|gives|takes|makes|says|tells|returns|calls|asks|waits|reads|writes|ends)\b"
    r"|\w+s (the|an?|each|every|all|both|it|them)\b"
)
# A function does something, so its docstring begins with a verb, not with an article, a pronoun, a
# plural, an abstract noun, an abbreviation or code.
_NO_VERB = re.compile(
    r"((?i:the|an?|one|all|every|each|both|whether|its?|they|this|that|those|these|everything)\b"
    r"|\w+(ity|ment|ness|[^\Ws]s)\b|[A-Z]{2}|\w+ →|[^\w:])"
)
# A comment that begins so belongs to a sentence that nobody has written.
_NO_COMMENT = re.compile(rf"({_CLAUSE}|of|than|told|asked|likewise|nor)\b", re.IGNORECASE)
_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$")
_ENTRY = re.compile(r"^    ([\w, *]+): (.+)$")


def list_fragments(text: str, *, is_function: bool = False) -> Iterator[str]:
    """Yield the lines of a docstring that are not understood alone."""
    first, *lines = text.splitlines()
    if _FRAGMENT.match(first) or (is_function and _NO_VERB.match(first)):
        yield first
    section, before = "", ""
    for line in lines:
        if match := _SECTION.match(line):
            section = match[1]
        elif line and not line.startswith(" "):
            section = ""
        elif section in ("Returns", "Yields"):
            if _SECTION.match(before) and _FRAGMENT.match(line.strip()):
                yield line.strip()
        elif section and (match := _ENTRY.match(line)) and is_fragment(section, match[2]):
            yield line.strip()
        before = line


def is_fragment(section: str, text: str) -> bool:
    """Tell whether the description of an argument or an error is not understood alone."""
    if section == "Raises":
        return bool(_NO_SUBJECT.match(text))
    return bool(_FRAGMENT.match(text) or _VERB.match(text))


def list_comment_fragments(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, comment) of comments that are not understood alone."""
    end = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            line, text = token.start[0], token.string.lstrip("#: ")
            is_alone = token.line.lstrip().startswith("#")
            if not (is_alone and line == end + 1) and _NO_COMMENT.match(text):
                yield line, text
            end = line if is_alone else 0


def has_effect(node: ast.AST) -> bool:
    """Tell whether a node is a function that does something: no property, and no test."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    is_property = any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
    return not is_property and not node.name.startswith("test_")


def list_files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_no_docstring_has_a_fragment() -> None:
    found = []
    for path in list_files():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or "-"
                place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"
                fragments = list_fragments(text, is_function=has_effect(node) and text != "-")
                found += [f"{place} {line}" for line in fragments]

    assert found == []


def test_no_comment_is_a_fragment() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {text}"
        for path in list_files()
        for line, text in list_comment_fragments(path.read_text())
    ]

    assert found == []


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("Of a dead letter whose record is valid.", "Of a dead letter whose record is valid."),
        ("The same as before.", "The same as before."),
        ("Send.\n\nArgs:\n    delivery: of the job.\n", "delivery: of the job."),
        ("Send.\n\nArgs:\n    topic: which exists.\n    n: rows.\n", "topic: which exists."),
        ("Send.\n\nArgs:\n    tell: gets each line.\n", "tell: gets each line."),
        ("Send.\n\nArgs:\n    ledger: notes the rows.\n", "ledger: notes the rows."),
        ("Send.\n\nReturns:\n    what was sent.\n", "what was sent."),
        ("Row.\n\nAttributes:\n    key: for the stamp.\n", "key: for the stamp."),
        ("Check.\n\nRaises:\n    ModelError: names the file.\n", "ModelError: names the file."),
        ("The rows of a table.", "The rows of a table."),
        ("Rows of a table.", "Rows of a table."),
        ("Its text.", "Its text."),
        ("Whether it is there.", "Whether it is there."),
        ("What it writes, for a reader.", "What it writes, for a reader."),
        ("(topic, offset) of each row.", "(topic, offset) of each row."),
        ("Partition → offset.", "Partition → offset."),
    ],
)
def test_a_fragment_is_found(text: str, fragment: str) -> None:
    assert list(list_fragments(text, is_function=True)) == [fragment]


@pytest.mark.parametrize(
    "text",
    [
        "Return the rows of a table.\n\nArgs:\n    forms: the forms.\n\nRaises:\n    E: no file.\n",
        "Send.\n\nExample:\n    topic: of the job\n",
        "Process rows.\n\nReturns:\n    Topic → number of rows.\n",
    ],
)
def test_a_sentence_is_no_fragment(text: str) -> None:
    assert list(list_fragments(text, is_function=True)) == []


def test_a_comment_is_judged_by_its_first_line() -> None:
    source = "# Rows are kept,\n# which takes time.\nrows = 1  # of a table\n# What it is.\n"

    assert list(list_comment_fragments(source)) == [(3, "of a table"), (4, "What it is.")]
