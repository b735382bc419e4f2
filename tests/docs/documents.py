"""Take the project's Markdown documents apart: code blocks, links, headings, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lib.exit_codes import EXIT_CODES
from lib.settings.base import JobSettings
from lib.settings.registry import JOB_SETTINGS
from lib.telemetry.metrics import METRICS, PREFIX

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)$")
# This comment before a fence tells the tests what to do with the block.
_MARK = re.compile(r"^<!-- test: (?P<mark>[a-z ]+) -->$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
_SOURCE = re.compile(r'(?:src|srcset|href)="(?P<target>[^"]+)"')
_HEADING = re.compile(r"^#{1,6} (?P<text>.+)$")
_INLINE_CODE = re.compile(r"`[^`\n]+`")


@dataclass(frozen=True)
class Block:
    """A fenced block of code in a document.

    Attributes:
        document: path of the document, relative to the project.
        line: number of the line with the opening fence, from 1.
        language: word after the opening fence; empty where none is given.
        mark: text of ``<!-- test: … -->`` on the line before; empty where there is none.
        text: content between the fences.
    """

    document: str
    line: int
    language: str
    mark: str
    text: str

    @property
    def place(self) -> str:
        """Document and line, as messages name them."""
        return f"{self.document}:{self.line}"


def list_documents() -> list[str]:
    """Return the paths of all Markdown files of the project, relative to it."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def read_document(document: str) -> str:
    """Return a document's text."""
    return (ROOT / document).read_text(encoding="utf-8")


def iter_blocks(document: str, *languages: str) -> Iterator[Block]:
    """Yield a document's fenced blocks in one of these languages, in order."""
    lines = read_document(document).splitlines()
    mark, number = "", 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            marked = _MARK.match(lines[number].strip())
            mark = marked["mark"] if marked else ""
            number += 1
            continue
        start, indent = number, opening["indent"]
        number += 1
        body = []
        while lines[number].strip() != "```":
            body.append(lines[number].removeprefix(indent))
            number += 1
        number += 1
        if opening["language"] in languages:
            text = "\n".join(body) + "\n"
            yield Block(document, start + 1, opening["language"], mark, text)
        mark = ""


def read_section(document: str, heading: str) -> str:
    """Return the text below a heading, up to the next heading.

    Raises:
        KeyError: there is no such heading.
    """
    found: list[str] | None = None
    is_code = False
    for line in read_document(document).splitlines():
        is_code ^= line.lstrip().startswith("```")
        opening = None if is_code else _HEADING.match(line)
        if opening is None:
            if found is not None:
                found.append(line)
        elif found is not None:
            break
        elif opening["text"] == heading:
            found = []
    if found is None:
        raise KeyError(f"{document}: no heading {heading}")
    return "\n".join(found)


def list_links(document: str) -> list[str]:
    """Return the targets of links and images outside of code."""
    prose = _INLINE_CODE.sub("", _without_blocks(read_document(document)))
    targets = [match["target"] or match["image"] for match in _LINK.finditer(prose)]
    return targets + [match["target"] for match in _SOURCE.finditer(prose)]


def list_anchors(document: str) -> set[str]:
    """Return the anchors that ``#…`` may name: the headings, as GitHub writes them."""
    anchors: set[str] = set()
    for line in _without_blocks(read_document(document)).splitlines():
        heading = _HEADING.match(line)
        if heading is not None:
            text = re.sub(r"[^\w\- ]", "", heading["text"].strip().lower())
            anchors.add(text.replace(" ", "-"))
    return anchors


def render_settings(kind: type[JobSettings]) -> str:
    """Return the table of a job's settings for ``docs/settings.md``.

    A job that takes all settings of another one has a sentence that says so, and its own.
    """
    whole = {it: job for job, it in JOB_SETTINGS.items() if it in kind.__mro__[1:]}
    taken = {name for it in whole for name in it.model_fields}
    rows = [f"All settings of `jobs/{job}.py`, and:\n" for job in whole.values()]
    rows += ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in kind.model_fields.items():
        if name in taken:
            continue
        meaning = (field.description or "").replace("|", "\\|")
        choices = _render_choices(field)
        rows.append(f"| `{name}` | {_render_default(field)} | {meaning}{choices} |")
    return "\n".join(rows) + "\n"


def render_metrics() -> str:
    """Return the table of metrics for ``docs/metrics.md``."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for spec in METRICS:
        labels = ", ".join(f"`{label}`" for label in spec.labels) or "–"
        rows.append(f"| `{PREFIX}{spec.name}` | {spec.kind} | {labels} | {spec.help} |")
    return "\n".join(rows) + "\n"


def render_exit_codes() -> str:
    """Return the table of exit codes for ``docs/restarts.md``."""
    rows = ["| exit code | meaning | a supervisor |", "|---|---|---|"]
    for meaning in EXIT_CODES:
        answer = "starts it again" if meaning.restarts else "leaves it"
        rows.append(f"| {meaning.code:d} | {meaning.text} | {answer} |")
    return "\n".join(rows) + "\n"


def _render_default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return "–" if value in (None, {}, (), "") else f"`{value}`"


def _render_choices(field: FieldInfo) -> str:
    values = [value for value in get_args(field.annotation) if isinstance(value, str)]
    return f"; one of {', '.join(f'`{value}`' for value in values)}" if values else ""


def _without_blocks(text: str) -> str:
    kept, inside = [], False
    for line in text.splitlines():
        if line.strip().startswith("```"):
            inside = not inside
        elif not inside:
            kept.append(line)
    return "\n".join(kept)
