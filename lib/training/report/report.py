"""Writes the report of a version: what it was made of, how good it is, and what it is not for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from lib.training.evaluation import group_rows
from lib.training.report.curves import draw_curves
from lib.training.report.document import (
    Block,
    Bullets,
    Heading,
    Paragraph,
    add_html_note,
    add_markdown_note,
    write_html,
    write_markdown,
)
from lib.training.report.findings import Findings
from lib.training.report.limits import list_limits
from lib.training.report.sections import (
    describe_champion,
    describe_data,
    describe_engines,
    describe_importances,
    describe_quality,
    describe_segments,
    describe_threshold,
    tabulate_groups,
)
from lib.training.report.segments import measure_segments

#: The files of a version.
HTML_FILE, MARKDOWN_FILE = "report.html", "report.md"


def write_report(findings: Findings) -> dict[str, bytes]:
    """Write the report twice: file name → content in UTF-8."""
    title = f"Model {findings.name}, trained on {findings.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    blocks = list(_list_blocks(findings))
    return {
        HTML_FILE: write_html(title, blocks).encode(),
        MARKDOWN_FILE: write_markdown(title, blocks).encode(),
    }


def note_threshold(folder: Path, reference: str, before: float, after: float) -> None:
    """Say in the reports of a copy of a version that it has another threshold.

    Args:
        folder: the folder with the files of the copy; those without a report get no note.
        reference: the version that was copied, as NAME@VERSION.
        before: its threshold.
        after: the threshold of the copy.
    """
    note = (
        f"This is a copy of {reference} with the threshold {after:g} instead of {before:g}."
        f" The report is that of {reference}: its threshold, recall, precision and predicted labels"
        " are not those of this version."
    )
    for name, add in ((HTML_FILE, add_html_note), (MARKDOWN_FILE, add_markdown_note)):
        file = folder / name
        if file.is_file():
            text = add(file.read_text(encoding="utf-8"), note)
            file.unlink()  # the file may be the other version's own, by another link
            file.write_text(text, encoding="utf-8")


def _list_blocks(findings: Findings) -> Iterator[Block]:
    labels, probabilities = findings.data.labels, findings.probabilities
    segments = measure_segments(
        findings.data, probabilities, findings.threshold.value, findings.contract
    )
    groups = group_rows(labels, probabilities)
    yield Paragraph(
        f"It gives the probability that {findings.contract.label.name} is"
        f" {findings.contract.positive_label}. Every score in this report comes from a model that"
        f" had not seen the row: {findings.training['folds']}-fold cross-validation."
    )
    yield from describe_data(findings)
    yield from describe_quality(findings)
    yield Heading("Pictures")
    yield from draw_curves(labels, probabilities, groups, findings.threshold.value)
    yield tabulate_groups(groups, float(labels.mean()))
    yield from describe_threshold(findings.threshold, labels, probabilities, findings.training)
    yield from describe_segments(segments)
    yield from describe_importances(findings.importances)
    yield from describe_champion(findings)
    yield from describe_engines(findings.training)
    yield Heading("What it must not be used for")
    yield Bullets(list(list_limits(findings, segments)))
