"""Say how many records per second each contestant is offered. This module is pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_RATE = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<percent>\s*%)?")
_MAXIMUM = re.compile(r"(?P<name>[^=]+)=(?P<number>\d+(?:\.\d+)?)")
# A contestant that is offered more than this share of its maximum falls behind while its garbage is
# collected, and then its latencies say only for how long the load lasted.
_MOST_OF_MAXIMUM = 0.95


def check_rate(text: str) -> str:
    """Return a rate as it was given: records per second, or a share of each one's own maximum.

    Raises:
        ValueError: the text is neither a positive number nor a percentage below 100.
    """
    found = _RATE.fullmatch(text)
    number = float(found["number"]) if found else 0.0
    if found is None or number <= 0 or (found["percent"] and number >= 100):
        raise ValueError(
            f"found {text}, expected records per second such as 1000, or a share of each"
            " contestant's own maximum such as 50%"
        )
    return text


def is_share(text: str) -> bool:
    """Tell whether a rate is a share of each contestant's own maximum."""
    return text.endswith("%")


def name_load(text: str) -> str:
    """Write a rate as a heading."""
    if is_share(text):
        return f"{text.rstrip('% ')} % of each contestant's own maximum"
    return f"{float(text):,g} records/s"


def read_maxima(texts: Sequence[str], names: Sequence[str]) -> dict[str, float]:
    """Read ``NAME=RECORDS_PER_S`` for contestants whose maximum is known.

    Raises:
        ValueError: a text has another form, or names nobody.
    """
    maxima = {}
    for text in texts:
        found = _MAXIMUM.fullmatch(text)
        if found is None or found["name"] not in names or float(found["number"]) <= 0:
            raise ValueError(
                f"found {text}, expected NAME=RECORDS_PER_S, with one of {', '.join(names)}"
            )
        maxima[found["name"]] = float(found["number"])
    return maxima


def find_rate(text: str, maximum: float | None) -> float | None:
    """Compute the records per second that a contestant is offered.

    Args:
        text: the rate as it was given.
        maximum: the contestant's own maximum in records per second; None if it is unknown, which it
            must not be for a share.

    Returns:
        The rate; None for one that is above what the contestant can do.
    """
    if is_share(text):
        if maximum is None:
            raise ValueError(f"{text} of an unknown maximum")
        return float(text.rstrip("% ")) / 100 * maximum
    rate = float(text)
    return None if maximum is not None and rate > _MOST_OF_MAXIMUM * maximum else rate


def list_missing(
    rates: Sequence[str], names: Sequence[str], maxima: Mapping[str, float]
) -> list[str]:
    """List the contestants whose maximum has to be measured, because a rate is a share of it."""
    if not any(map(is_share, rates)):
        return []
    return [name for name in names if name not in maxima]
