"""Messages that docs/troubleshooting.md explains are those of the code, in alphabetical order."""

from __future__ import annotations

import re

import pytest

from tests.docs.documents import ROOT, read_section

DOCUMENT = "docs/troubleshooting.md"
# These stand for a value in a message: an expression in the source, … in the document.
_VALUE = re.compile(r"\{[^{}]*\}|%[sd]|%\.0f|…")
# The end of one string literal and the start of the next one, which Python joins.
_JOINT = re.compile(r'"\s*f?"')
# Kafka and Python define these names of errors; they are values in our messages.
FOREIGN = ("MSG_SIZE_TOO_LARGE", "ModuleNotFoundError")


def list_phrases(heading: str) -> list[str]:
    """Return the texts in backticks in the first column of a section's table."""
    rows = [line for line in read_section(DOCUMENT, heading).splitlines() if line.startswith("| `")]
    return [phrase for row in rows for phrase in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def read_sources() -> str:
    """Return the code as one text, with every value replaced by ``…``."""
    paths = (path for folder in ("lib", "jobs") for path in sorted((ROOT / folder).rglob("*.py")))
    joined = _JOINT.sub("", "\n".join(path.read_text(encoding="utf-8") for path in paths))
    return _VALUE.sub("…", joined)


@pytest.mark.parametrize("heading", ["Errors", "Warnings"])
def test_every_message_that_is_explained_is_one_of_the_code(heading: str) -> None:
    sources = read_sources()
    phrases = list_phrases(heading)

    assert len(phrases) > 8
    for phrase in phrases:
        pieces = [piece.strip() for piece in _VALUE.split(phrase)]
        for name in FOREIGN:
            pieces = [piece.replace(name, "").strip() for piece in pieces]
        for piece in filter(None, pieces):
            assert piece in sources, f"{phrase}: {piece}"


@pytest.mark.parametrize("heading", ["Errors", "Warnings", "Messages from Spark"])
def test_messages_stand_in_alphabetical_order(heading: str) -> None:
    rows = [line for line in read_section(DOCUMENT, heading).splitlines() if line.startswith("| `")]
    words = [re.sub(r"[^a-z0-9]+", " ", row.split(" | ")[0].lower()).strip() for row in rows]

    assert words == sorted(words)
