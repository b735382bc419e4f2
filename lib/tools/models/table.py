"""Writes tables of text, and numbers for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

NOTHING = "–"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def align(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> Iterator[str]:
    """Write rows of cells as lines with columns of equal width.

    Args:
        rows: the rows, each of the same number of cells; the first one holds the titles.
        left: the positions of the columns that are aligned on the left; the others are numbers.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.ljust(width) if place in left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def describe_age(created: str, now: datetime) -> str:
    """Write the time since a moment in ISO 8601 in its largest unit, such as ``3 d``."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return NOTHING
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = max(0, int((now - moment).total_seconds()))
    size, unit = next((it for it in _UNITS if seconds >= it[0]), _UNITS[-1])
    return f"{seconds // size} {unit}"


def describe_metric(summary: dict[str, float] | None) -> str:
    """Write the mean of a metric and, where there is one, its standard deviation."""
    if not summary or "mean" not in summary:
        return NOTHING
    spread = f" ± {summary['std']:.3f}" if "std" in summary else ""
    return f"{summary['mean']:.4f}{spread}"
