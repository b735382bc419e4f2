"""Lay tables out as text that nothing cuts: for a terminal, a file and a document.

This module is pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

#: The width of a terminal where nobody says otherwise, and of lines in a file.
WIDTH = 80
_GAP = "  "
_RULE = "─"

Line = Sequence[str]


def lay_out(headings: Line, lines: Sequence[Line], width: int = WIDTH) -> str:
    """Write a table whose first column is text and whose others are figures.

    Columns that have no place side by side come below, beside the first column once more. A cell is
    never cut: one that is wider than everything takes a wider line.

    Args:
        headings: the names of the columns.
        lines: the cells of each line, as many as there are headings.
        width: the most characters of a line.
    """
    widths = [max(map(len, cells)) for cells in zip(headings, *lines, strict=True)]
    blocks = (
        "\n".join(_write_block(headings, lines, widths, columns))
        for columns in _split_columns(widths, width)
    )
    return "\n\n".join(blocks)


def _split_columns(widths: Sequence[int], width: int) -> Iterator[list[int]]:
    """Yield the columns of each block: the first one, and as many others as have a place."""
    block, taken = [0], widths[0]
    for column, needed in enumerate(widths[1:], start=1):
        if len(block) > 1 and taken + len(_GAP) + needed > width:
            yield block
            block, taken = [0], widths[0]
        block.append(column)
        taken += len(_GAP) + needed
    yield block


def _write_block(
    headings: Line, lines: Sequence[Line], widths: Sequence[int], columns: Sequence[int]
) -> Iterator[str]:
    def write(cells: Line) -> str:
        name, *figures = (cells[column] for column in columns)
        places = zip(figures, columns[1:], strict=True)
        aligned = (figure.rjust(widths[column]) for figure, column in places)
        return _GAP.join((name.ljust(widths[0]), *aligned)).rstrip()

    yield write(headings)
    yield _GAP.join(_RULE * widths[column] for column in columns)
    for line in lines:
        yield write(line)


def format_markdown(headings: Line, lines: Sequence[Line], texts: int = 1) -> str:
    """Write a table for documents.

    Args:
        headings: the names of the columns.
        lines: the cells of each line, as many as there are headings.
        texts: the number of columns, from the first on, that hold text; the others hold figures.
    """
    rule = ["---"] * texts + ["--:"] * (len(headings) - texts)
    return "\n".join(
        ["| " + " | ".join(headings) + " |", "|" + "|".join(rule) + "|"]
        + ["| " + " | ".join(line) + " |" for line in lines]
    )
