"""Reports what sending dead letters again would do, or has done. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from lib.printable import align, escape
from lib.tools.dead_letters.parts import ResendReport
from lib.tools.dead_letters.selection import Outcome

_WRONG = "what is wrong, first of all"
_UNKNOWN = "–"


def describe_preview(
    report: ResendReport, *, letters: str, name: str, topic: str, contract: str | None
) -> Iterator[str]:
    """Write what would be sent.

    Args:
        report: the counts.
        letters: the topic of dead letters.
        name: the name under which they are read.
        topic: the topic to which the records would be sent.
        contract: the name of the contract against which they were checked; None for none.
    """
    yield f"{report.read:,} dead letters in {letters} since {name} read last"
    rows = [("would be sent again", "valid now", "left alone", _WRONG)]
    for cause in sorted({it for it, _ in report.counts}):
        sent = report.counts[cause, Outcome.SENT]
        left = sum(n for (it, end), n in report.counts.items() if it == cause) - sent
        wrong = sum(n for (it, _), n in report.still_wrong.items() if it == cause)
        valid = _UNKNOWN if contract is None else f"{sent - wrong:,}"
        rows.append((f"{sent:,}", valid, f"{left:,}", escape(cause)))
    if len(rows) > 1:
        yield from align(rows, left=(3,))
    for outcome, count in report.outcomes.most_common():
        if outcome is not Outcome.SENT:
            yield f"{count:,} left alone: {outcome}"
    yield f"{report.sent:,} would be sent again to {topic}{_describe_valid(report, contract)}"
    for cause, count in sorted(count_still_wrong(report).items()):
        yield f"{count:,} would become dead letters again: {cause}"


def build_preview(report: ResendReport, contract: str | None) -> dict[str, Any]:
    """Return what would be sent as one object for machines."""
    return {
        "action": "preview",
        "read": report.read,
        "sent": report.sent,
        "valid": None if contract is None else report.sent - report.still_wrong.total(),
        "contract": contract,
        "left_alone": _count_left(report),
        "still_wrong": dict(count_still_wrong(report)),
        "causes": [
            {
                "cause": cause,
                "sent": report.counts[cause, Outcome.SENT],
                "still_wrong": {
                    now: count for (it, now), count in report.still_wrong.items() if it == cause
                },
            }
            for cause in sorted({it for it, _ in report.counts})
        ],
    }


def build_result(report: ResendReport) -> dict[str, Any]:
    """Return what was sent as one object for machines."""
    return {
        "action": "resend",
        "read": report.read,
        "sent": report.sent,
        "left_alone": _count_left(report),
        "positions": {str(it): at for it, at in sorted(report.ends.items())},
    }


def count_still_wrong(report: ResendReport) -> Counter[str]:
    """Count what is wrong, first of all, with the values to send."""
    found: Counter[str] = Counter()
    for (_, now), count in report.still_wrong.items():
        found[now] += count
    return found


def _count_left(report: ResendReport) -> dict[str, int]:
    outcomes = report.outcomes.items()
    return {it.name.lower(): count for it, count in outcomes if it is not Outcome.SENT}


def _describe_valid(report: ResendReport, contract: str | None) -> str:
    if contract is None:
        return "; without --contract nothing says whether they are valid now"
    return f", {report.sent - report.still_wrong.total():,} of them valid by contract {contract}"
