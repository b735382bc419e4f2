"""A document of simple blocks, which is written as HTML in one file, as Markdown, or as lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from lib.printable import align
from lib.printable import escape as plain

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff;
  max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums;
  font-size: .9rem; }
th, td { padding: .2rem .8rem .2rem 0; text-align: right; border-bottom: 1px solid #e4e4e4; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; }
figure { display: inline-block; margin: .5rem 1rem .5rem 0; vertical-align: top; }
figcaption { font-size: .9rem; color: #444; max-width: 27rem; }
svg { max-width: 100%; height: auto; }
"""


@dataclass(frozen=True)
class Heading:
    """The heading of a section."""

    text: str


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text."""

    text: str


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Table:
    """A table of text; the first column is on the left, the others on the right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Picture:
    """A picture, which only HTML shows.

    Attributes:
        svg: the SVG element.
        caption: the sentence below it.
    """

    svg: str
    caption: str


Block = Heading | Paragraph | Bullets | Table | Picture


def write_html(title: str, blocks: Sequence[Block]) -> str:
    """Write the document as one HTML file that loads nothing from elsewhere."""
    body = "\n".join(_write_element(block) for block in blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</body>\n</html>\n"
    )


def write_markdown(title: str, blocks: Sequence[Block]) -> str:
    """Write the document as Markdown, without its pictures."""
    parts = [_write_text(block) for block in blocks if not isinstance(block, Picture)]
    return "\n\n".join([f"# {_plain(title)}", *parts]) + "\n"


def write_lines(blocks: Sequence[Block], width: int = 80) -> Iterator[str]:
    """Write the document as lines for a terminal, without its pictures.

    Args:
        blocks: the blocks.
        width: the columns of the terminal, at which text is wrapped; tables are as wide as they
            are.
    """
    for place, block in enumerate(blocks):
        if place and not isinstance(block, Picture):
            yield ""
        match block:
            case Heading(text) | Paragraph(text):
                yield from wrap(plain(text), width)
            case Bullets(items):
                for item in items:
                    yield from wrap(f"- {plain(item)}", width, subsequent_indent="  ")
            case Table(columns, rows):
                yield from align([[*map(plain, row)] for row in (columns, *rows)])


def add_html_note(document: str, note: str) -> str:
    """Add a paragraph behind the title of a document of :func:`write_html`."""
    title, end, rest = document.partition("</h1>\n")
    return f"{title}{end}<p><strong>{escape(note)}</strong></p>\n{rest}" if end else document


def add_markdown_note(document: str, note: str) -> str:
    """Add a paragraph behind the title of a document of :func:`write_markdown`."""
    title, end, rest = document.partition("\n\n")
    return f"{title}{end}**{_plain(note)}**\n\n{rest}"


def _write_element(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Paragraph(text):
            return f"<p>{escape(text)}</p>"
        case Bullets(items):
            return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"
        case Table(columns, rows):
            head = "".join(f"<th>{escape(name)}</th>" for name in columns)
            lines = [f"<tr>{''.join(f'<td>{escape(it)}</td>' for it in row)}</tr>" for row in rows]
            return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        case Picture(svg, caption):
            return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _write_text(block: Heading | Paragraph | Bullets | Table) -> str:
    match block:
        case Heading(text):
            return f"## {_plain(text)}"
        case Paragraph(text):
            return _plain(text)
        case Bullets(items):
            return "\n".join(f"- {_plain(item)}" for item in items)
        case Table(columns, rows):
            line = f"|---|{'---:|' * (len(columns) - 1)}"
            return "\n".join([_write_row(columns), line, *map(_write_row, rows)])


def _write_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Escape what Markdown and HTML in it would take for more than text."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in text)
