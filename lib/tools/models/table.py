"""Writes ages and metrics for people. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

NOTHING = "–"
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


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
