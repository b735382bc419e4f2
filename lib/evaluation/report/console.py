"""Describes an evaluation on the console, in 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table

from lib.evaluation.definition import Status
from lib.evaluation.findings import Findings, Part
from lib.evaluation.report.report import spell

_NONE = "–"


def build_tables(findings: Findings) -> Iterator[Table]:
    """Build a table of complete weeks by version, and one of all weeks."""
    yield _build(
        "complete weeks, by version",
        "version",
        [(it.name, it) for it in (*findings.versions, findings.complete)],
    )
    weeks = [
        (it.name + ("" if findings.is_complete(it) else " *"), it) for it in findings.weeks[-12:]
    ]
    yield _build("the newest weeks; * labels are still coming", "week of", weeks)


def describe_findings(findings: Findings) -> str:
    """Describe what was read and what became of it, in lines."""
    reading, outcomes, statuses = findings.reading, findings.outcomes, findings.all.statuses
    refused = {side: sum(reasons.values()) for side, reasons in findings.refused.items()}
    lines = [
        f"predictions  {findings.all.predictions:,} so far, {reading.predictions:,} new,"
        f" {statuses.get(Status.UNLABELLED, 0):,} still unlabelled",
        f"outcomes     {outcomes.messages:,} so far, {reading.outcomes:,} new,"
        f" {reading.updated:,} predictions updated",
        f"counted      late {findings.all.late:,}, double {outcomes.doubles:,},"
        f" contradicting {outcomes.contradicting:,}, unknown {outcomes.unknown:,}",
        f"left out     known before {statuses.get(Status.KNOWN_BEFORE, 0):,}, after the horizon"
        f" {statuses.get(Status.AFTER_HORIZON, 0):,}, contradicted"
        f" {statuses.get(Status.CONTRADICTED, 0):,}",
        f"malformed    {refused.get('prediction', 0):,} predictions,"
        f" {refused.get('outcome', 0):,} outcomes; the positions are in refused/",
    ]
    lines += [
        f"below        {it.part.name}: ROC-AUC {spell(it.part.quality.roc_auc)}, in its training"
        f" {it.baseline.roc_auc:.4f}"
        for it in findings.recent
        if it.is_below and it.baseline is not None
    ]
    return "\n".join(lines)


def _build(title: str, name: str, parts: Sequence[tuple[str, Part]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    # The names of weeks stay whole; those of versions may be longer than the space.
    table.add_column(name, overflow="fold", min_width=12)
    for column in ("rows", "no label", "ROC-AUC", "Brier", "ECE", "lift"):
        table.add_column(column, justify="right", no_wrap=True)
    for title_of, part in parts:
        quality = part.quality
        top = quality.deciles[-1].lift.value if quality.deciles else None
        auc = _NONE
        if quality.roc_auc is not None:
            auc = f"{quality.roc_auc.value:.3f}"
            if quality.roc_auc.low is not None and quality.roc_auc.high is not None:
                auc += f" ({quality.roc_auc.low:.3f}–{quality.roc_auc.high:.3f})"
        table.add_row(
            title_of,
            f"{part.predictions:,}",
            f"{part.unlabelled_share:.1%}",
            auc,
            _NONE if quality.brier is None else f"{quality.brier.value:.3f}",
            _NONE
            if quality.calibration_error is None
            else f"{quality.calibration_error.value:.3f}",
            _NONE if top is None else f"{top:.2f}",
        )
    return table
