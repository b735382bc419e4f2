"""Writes findings as a table for people, or as JSON for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lib.exit_codes import ExitCode
from lib.findings import Finding, Severity

# A terminal has its own width; lines in a file are this wide.
_WIDTH = 160
_VERDICTS = {
    Severity.OK: "ok",
    # A trial may leave it as it is; elsewhere it is worth a look.
    Severity.NOTE: "warn",
    Severity.WARNING: "warn",
    Severity.ERROR: "fail",
}
_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def build_table(findings: Sequence[Finding]) -> Table:
    """Build the table of all checks, in the order in which they were made."""
    table = Table("", "check", "found", "expected", "remedy", box=box.SIMPLE_HEAD, pad_edge=False)
    for finding in findings:
        verdict = _VERDICTS[finding.severity]
        cells = (finding.check, finding.found, finding.expected, finding.hint)
        # A cell is shown as it is, not read as markup.
        table.add_row(Text(verdict, style=_STYLES[verdict]), *map(Text, cells))
    return table


def print_table(console: Console, findings: Sequence[Finding]) -> None:
    """Print the table, and a line that counts the verdicts."""
    console.print(build_table(findings))
    counts = count_verdicts(findings)
    console.print(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))


def build_console() -> Console:
    """Build a console of the terminal's width; what goes into a file gets wide lines."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def render_json(findings: Sequence[Finding]) -> str:
    """Write one JSON object: the counts, and a list of all checks."""
    checks = [
        {
            "check": it.check,
            "verdict": _VERDICTS[it.severity],
            "found": it.found,
            "expected": it.expected,
            "consequence": it.text,
            "remedy": it.hint,
        }
        for it in findings
    ]
    return json.dumps({**count_verdicts(findings), "checks": checks}, ensure_ascii=False, indent=2)


def count_verdicts(findings: Sequence[Finding]) -> dict[str, int]:
    """Count ok, warn and fail, in this order."""
    counts = Counter(_VERDICTS[it.severity] for it in findings)
    return {verdict: counts[verdict] for verdict in _STYLES}


def find_exit_code(findings: Sequence[Finding]) -> ExitCode:
    """Return the exit code: warnings do not count."""
    has_failed = any(it.severity is Severity.ERROR for it in findings)
    return ExitCode.WRONG_SETTINGS if has_failed else ExitCode.DONE
