"""Draw the rates of a throughput report as a picture.

    .venv/bin/python -m benchmarks.plot build/benchmarks/throughput-TIME.json throughput.png

This needs the ``dev`` extra. The picture shows only what the report contains.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")  # there is no display

from matplotlib import pyplot as plt

_JOB, _AT_LEAST_ONCE, _LOOP = "#1b6ca8", "#9bbfd9", "#8a8a8a"
_BAR_INCHES = 0.42


def draw(report: Mapping[str, Any], target: Path) -> None:
    """Draw a bar for each contestant, with whiskers from the slowest to the fastest round.

    Args:
        report: the report of ``benchmarks/report.py``.
        target: the file of the picture; its suffix decides the format.
    """
    rows = sorted(
        (row for row in report["rows"] if row["rate"]), key=lambda row: row["rate"]["median"]
    )
    figure, axes = plt.subplots(figsize=(8, 1.2 + _BAR_INCHES * len(rows)), layout="constrained")
    medians = [row["rate"]["median"] / 1_000 for row in rows]
    spreads = [
        [(row["rate"]["median"] - row["rate"]["low"]) / 1_000 for row in rows],
        [(row["rate"]["high"] - row["rate"]["median"]) / 1_000 for row in rows],
    ]
    bars = axes.barh(
        [_name(row) for row in rows], medians, xerr=spreads, color=[_colour(row) for row in rows]
    )
    axes.bar_label(bars, fmt="%.0f", padding=6)
    axes.margins(x=0.1)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("thousand records/s")
    # The label is as wide as the whole picture.
    figure.supxlabel(_describe(report), fontsize="medium")
    figure.savefig(target, dpi=150)
    plt.close(figure)


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['backend']} ({row['guarantee']})"


def _colour(row: Mapping[str, Any]) -> str:
    if "loop" in row["backend"]:
        return _LOOP
    return _JOB if row["guarantee"] == "exactly-once" else _AT_LEAST_ONCE


def _describe(report: Mapping[str, Any]) -> str:
    machine, versions = report["machine"], report["versions"]
    return (
        f"{report['settings']['records']:,} records,"
        f" rounds: {report['settings']['rounds']}, {machine['cores']} cores with the broker,"
        f" Spark {versions['pyspark']}, commit {versions['commit']}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw one report; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plot", description=__doc__)
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args(arguments)
    draw(json.loads(options.report.read_text()), options.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
