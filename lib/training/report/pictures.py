"""Draws lines and intervals as SVG elements, without any library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

_WIDTH, _HEIGHT = 430, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 55, 15, 35, 45
_COLORS = ("#1f5fa8", "#c4541a", "#3c7d3c")
_TICKS = 6
_ROW = 22
_NAME_WIDTH = 170

Values = npt.NDArray[np.float64] | Sequence[float]


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: the name in the legend; empty for a grey reference line, which has none.
        x: the values along the axis, [n_points].
        y: the values above it, [n_points].
        has_marks: whether each point has a mark.
    """

    name: str
    x: Values
    y: Values
    has_marks: bool = False


def draw_lines(
    title: str, x_title: str, y_title: str, lines: Sequence[Line], *, y_end: float = 1.0
) -> str:
    """Draw lines over the range from 0 to 1.

    Args:
        title: the title above the chart.
        x_title: the title of the horizontal axis.
        y_title: the title of the vertical axis.
        lines: the lines.
        y_end: the upper end of the vertical axis, which begins at 0.
    """
    parts = [_text(_WIDTH / 2, 18, title, "middle", weight=600)]
    for share in np.linspace(0, 1, _TICKS):
        x, y = _place_x(share), _place_y(share)
        parts += [
            _line(x, _TOP, x, _HEIGHT - _BOTTOM, "#e4e4e4"),
            _line(_LEFT, y, _WIDTH - _RIGHT, y, "#e4e4e4"),
            _text(x, _HEIGHT - _BOTTOM + 16, f"{share:g}", "middle"),
            _text(_LEFT - 6, y + 4, f"{share * y_end:.3g}", "end"),
        ]
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 8, x_title, "middle"))
    turned = f'transform="rotate(-90 14 {middle:.0f})"'
    parts.append(_text(14, middle, y_title, "middle", more=turned))
    named = [line for line in lines if line.name]
    for line in lines:
        color = _COLORS[named.index(line) % len(_COLORS)] if line in named else "#888"
        parts.append(_draw_line(line, color, y_end))
    for position, line in enumerate(named if len(named) > 1 else []):
        y = _TOP + 12 + 16 * position
        color = _COLORS[position % len(_COLORS)]
        parts.append(_line(_WIDTH - 150, y - 4, _WIDTH - 130, y - 4, color, width=2))
        parts.append(_text(_WIDTH - 125, y, line.name, "start"))
    return _wrap(title, _HEIGHT, parts)


def draw_intervals(
    title: str, names: Sequence[str], means: Values, lows: Values, highs: Values
) -> str:
    """Draw a bar with an interval for each name, one below the other.

    Args:
        title: the title above the chart.
        names: the names, [n].
        means: the lengths of the bars, [n].
        lows: the lower ends of the intervals, [n].
        highs: the upper ends, [n].
    """
    left, right = min(0.0, *lows), max(*highs, 1e-9)
    unit = (_WIDTH - _NAME_WIDTH - _RIGHT) / (right - left)

    def place(value: float) -> float:
        return _NAME_WIDTH + (value - left) * unit

    parts = [_text(_WIDTH / 2, 18, title, "middle", weight=600)]
    for row, (name, mean, low, high) in enumerate(zip(names, means, lows, highs, strict=True)):
        y = _TOP + _ROW * row
        start, end = sorted((place(0), place(mean)))
        parts += [
            _text(_NAME_WIDTH - 8, y + 13, name, "end"),
            f'<rect x="{start:.1f}" y="{y + 3}" width="{end - start:.1f}" height="12"'
            f' fill="{_COLORS[0]}" opacity="0.55"/>',
            _line(place(low), y + 9, place(high), y + 9, "#1c1c1c", width=1.5),
        ]
    bottom = _TOP + _ROW * len(names)
    parts.append(_line(place(0), _TOP, place(0), bottom, "#888"))
    parts.append(_text(place(0), bottom + 16, "0", "middle"))
    parts.append(_text(place(right), bottom + 16, f"{right:.2g}", "end"))
    return _wrap(title, bottom + 25, parts)


def _place_x(share: float) -> float:
    return float(_LEFT + share * (_WIDTH - _LEFT - _RIGHT))


def _place_y(share: float) -> float:
    return float(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM))


def _draw_line(line: Line, color: str, y_end: float) -> str:
    points = [(_place_x(x), _place_y(y / y_end)) for x, y in zip(line.x, line.y, strict=True)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashes = "" if line.name else ' stroke-dasharray="4 4"'
    drawn = f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>'
    if not line.has_marks:
        return drawn
    marks = (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points)
    return drawn + "".join(marks)


def _line(x: float, y: float, x_end: float, y_end: float, color: str, width: float = 1) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x_end:.1f}" y2="{y_end:.1f}"'
        f' stroke="{color}" stroke-width="{width}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str, *, weight: int = 400, more: str = "") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" {more}>'
        f"{escape(text)}</text>"
    )


def _wrap(title: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape(title)}"'
        f' width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
        f' font-family="system-ui, sans-serif" font-size="12" fill="#1c1c1c">'
        f"{''.join(parts)}</svg>"
    )
