"""The figures that documents quote are those of the stored reports."""

from __future__ import annotations

import json
import re
from typing import Any

from benchmarks.report import Row, format_markdown
from benchmarks.rounds import restore, show
from tests.docs.documents import ROOT, read_document

MEASURED = read_document("docs/measured.md")
NUMBERS = {3: "three", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten"}


def read_rates() -> dict[str, Any]:
    """Return the report of the first table of rates."""
    found = re.search(r"benchmarks\.report docs/(results/[a-z0-9-]+\.json)", MEASURED)
    assert found, "docs/measured.md does not say which report its table of rates comes from"
    report: dict[str, Any] = json.loads((ROOT / "docs" / found[1]).read_text())
    return report


def test_the_table_of_rates_is_that_of_its_report() -> None:
    rows = [restore(Row, row) for row in read_rates()["rows"]]

    assert format_markdown(rows) in MEASURED


def test_at_least_five_rounds_were_run_and_all_of_them_count() -> None:
    report = read_rates()
    rounds = report["settings"]["rounds"]

    assert rounds >= 5
    assert len(report["runs"]) == rounds * len(report["rows"])
    assert not any(run["failure"] for run in report["runs"])


def test_the_readme_has_the_rate_of_that_table() -> None:
    report = read_rates()
    rows = {row["contestant"]: restore(Row, row) for row in report["rows"]}
    job = rows["exactly-once/onnx"]
    assert job.rate is not None
    ratio = show(job.rate_to_onnx_loop, ".2f").partition(" ")
    rounds = NUMBERS[report["settings"]["rounds"]]

    assert (
        f"**{job.rate.median:,.0f} records/s** exactly once, {ratio[0]} times a hand-written ONNX"
        f" consumer ({ratio[2].strip('()')}, {rounds} rounds)."
    ) in read_document("README.md")


def test_the_readme_has_the_latency_and_the_kills_of_the_tables() -> None:
    readme = read_document("README.md")
    latency = re.search(r"\*\*(\d+) ms\*\* from record to prediction", readme)
    kills = re.search(r"\*\*([\d,]+) kills\*\* over ([\d,]+) records", readme)
    assert latency
    assert kills

    assert re.search(rf"^\| [^|]*exactly.once[^|]*\|.*\| {latency[1]} ms \|", MEASURED, re.M)
    assert f"| {kills[2]} | {kills[1]} |" in MEASURED
