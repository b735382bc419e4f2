"""Writes the report of an evaluation: how good predictions were, by what is known by now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lib.evaluation.definition import Status
from lib.evaluation.findings import Findings, Part
from lib.evaluation.quality import Decile, Estimate, Quality
from lib.training.paired.quality import LEAST_OF_A_CLASS, LEAST_ROWS
from lib.training.report.document import (
    Block,
    Bullets,
    Heading,
    Paragraph,
    Picture,
    Table,
    write_html,
    write_markdown,
)
from lib.training.report.pictures import Line, draw_intervals, draw_lines

_NONE = "–"
# A browser may break a line behind a dash, unless a word joiner follows.
_TO = "–\u2060"
_MEASURED = ("labelled", "unlabelled", "positives", "ROC-AUC", "Brier", "ECE", "lift of top 10 %")


def write_report(findings: Findings) -> dict[str, bytes]:
    """Write the report twice: file name → content in UTF-8."""
    title = f"Predictions by their outcomes, as of {findings.definition.as_of:%Y-%m-%d %H:%M} UTC"
    blocks = list(_list_blocks(findings))
    return {
        "report.html": write_html(title, blocks).encode(),
        "report.md": write_markdown(title, blocks).encode(),
    }


def _list_blocks(findings: Findings) -> Iterator[Block]:
    definition = findings.definition
    yield Paragraph(
        f"A prediction gives the probability that {findings.label} is {findings.positive}; an"
        " outcome says what came of it. The intervals hold the true value in 95 of 100 cases. They"
        " allow for subjects with several predictions. Figures beside shares need"
        f" {LEAST_ROWS} labelled predictions, and {LEAST_OF_A_CLASS} of each label."
    )
    yield from _warn(findings)
    yield from describe_counts(findings)
    yield Heading("Quality of complete weeks")
    yield Paragraph(
        f"Some labels come earlier than others: {findings.positive} is mostly known before its"
        " opposite is. As long as labels are missing, those that have come are not a fair sample."
        " So a week counts as complete when the youngest of its predictions is"
        f" {definition.mature_after_days:g} days old, and quality is measured on complete weeks."
        f" The newest one begins on {definition.last_complete_week}."
    )
    parts = [findings.complete, findings.all]
    yield _tabulate("", [("complete weeks", parts[0]), ("all weeks, biased", parts[1])])
    yield from _draw(findings)
    yield from _list_deciles(findings.complete.quality)
    yield Heading("By version")
    yield Paragraph("Complete weeks only, so that a new version is not judged by early labels.")
    yield _tabulate("version", [(it.name, it) for it in findings.versions])
    yield from _compare_with_training(findings)
    yield Heading("By week of the prediction")
    complete = [it for it in findings.weeks if findings.is_complete(it)]
    others = [it for it in findings.weeks if not findings.is_complete(it)]
    yield Paragraph("Complete weeks, which can be compared with each other:")
    yield _tabulate("week of", [(it.name, it) for it in complete])
    yield Paragraph(
        "Weeks whose labels are still coming. Their figures are those of the early labels, and"
        " change: do not compare them with complete weeks."
    )
    yield _tabulate("week of", [(it.name, it) for it in others])
    yield from _list_ages(findings)
    yield from describe_rules(findings)


def describe_counts(findings: Findings) -> Iterator[Block]:
    """Describe what was read, and what became of it."""
    reading, outcomes, all_of = findings.reading, findings.outcomes, findings.all
    statuses = all_of.statuses
    yield Heading("What was read")
    rows = [
        ("predictions so far", f"{all_of.predictions:,}"),
        ("· with an outcome", f"{statuses.get(Status.LABELLED, 0):,}"),
        ("· · of them late", f"{all_of.late:,}"),
        ("· still unlabelled", f"{statuses.get(Status.UNLABELLED, 0):,}"),
        ("· outcome known before the prediction", f"{statuses.get(Status.KNOWN_BEFORE, 0):,}"),
        ("· outcome beyond the horizon only", f"{statuses.get(Status.AFTER_HORIZON, 0):,}"),
        ("· contradicted, left out", f"{statuses.get(Status.CONTRADICTED, 0):,}"),
        ("outcome messages so far", f"{outcomes.messages:,}"),
        ("· double", f"{outcomes.doubles:,}"),
        ("distinct outcomes", f"{outcomes.distinct:,}"),
        ("· unknown: no prediction of the identifier", f"{outcomes.unknown:,}"),
        ("· older than every prediction", f"{outcomes.too_old:,}"),
        ("identifiers with both labels", f"{outcomes.contradicting:,}"),
        ("new predictions in this run", f"{reading.predictions:,}"),
        ("new outcome messages in this run", f"{reading.outcomes:,}"),
        ("predictions that got their label now", f"{reading.updated:,}"),
        ("predictions whose label has changed", f"{reading.changed:,}"),
    ]
    if reading.gone:
        rows.append(("offsets or files that were gone", f"{reading.gone:,}"))
    for side, reasons in findings.refused.items():
        for reason, number in sorted(reasons.items()):
            rows.append((f"malformed {side}: {reason}", f"{number:,}"))
    yield Table(("", "number"), rows)


def describe_rules(findings: Findings) -> Iterator[Block]:
    """Describe how outcomes count."""
    definition = findings.definition
    made = "its record's event" if definition.by_event_time else "scoring"
    yield Heading("How outcomes count")
    limit = (
        "without a horizon"
        if definition.horizon_days is None
        else f"within a horizon of {definition.horizon_days:g} days"
    )
    yield Bullets(
        [
            f"A prediction counts as made at the time of {made}. An outcome that is not newer was"
            " known before, and shows no foresight: it does not count.",
            f"Of the outcomes that follow a prediction, {limit}, the one with the newest time of"
            " its own counts. If both labels have this time, the prediction is left out.",
            f"An outcome that comes more than {definition.max_age_days:g} days after the prediction"
            " counts, and is called late.",
            "Each prediction of a subject is judged for itself.",
        ]
    )


def _warn(findings: Findings) -> Iterator[Block]:
    below = [it for it in findings.recent if it.is_below]
    for it in below:
        yield Paragraph(
            f"Below its training: {it.part.name} reaches a ROC-AUC of"
            f" {spell(it.part.quality.roc_auc)} in the newest complete weeks, and"
            f" {it.baseline.roc_auc if it.baseline else 0:.4f} in its training."
        )
    before = findings.all.statuses.get(Status.KNOWN_BEFORE, 0)
    if before > findings.all.predictions / 2 and not findings.definition.by_event_time:
        yield Paragraph(
            "Most outcomes are older than the predictions. If these are a replay of old records,"
            " --prediction-time event counts from the time of the records."
        )


def _tabulate(name: str, parts: Sequence[tuple[str, Part]]) -> Table:
    return Table(
        (name, "predictions", *_MEASURED),
        [
            (
                title,
                f"{part.predictions:,}",
                f"{part.quality.rows:,}",
                f"{part.unlabelled_share:.1%}",
                *describe_quality(part.quality),
            )
            for title, part in parts
        ],
    )


def describe_quality(quality: Quality) -> tuple[str, str, str, str, str]:
    """Describe the share of positives, ROC-AUC, Brier score, ECE, and the lift of the top tenth."""
    top = quality.deciles[-1].lift if quality.deciles else None
    return (
        spell(quality.share, percent=True),
        spell(quality.roc_auc),
        spell(quality.brier),
        spell(quality.calibration_error),
        spell(top, digits=2),
    )


def spell(estimate: Estimate | None, *, percent: bool = False, digits: int = 3) -> str:
    """Spell a figure with its interval: ``0.812 (0.790–0.835)``, or ``12.0% (11.1–12.9)``."""
    if estimate is None:
        return _NONE
    scale, digits, unit = (100, 1, "%") if percent else (1, digits, "")
    value = f"{scale * estimate.value:.{digits}f}{unit}"
    if estimate.low is None or estimate.high is None:
        return value
    low, high = (f"{scale * end:.{digits}f}" for end in (estimate.low, estimate.high))
    return f"{value} ({low}{_TO}{high})"


def _draw(findings: Findings) -> Iterator[Picture]:
    deciles = findings.complete.quality.deciles
    if deciles:
        points = [it.mean for it in deciles], [it.share.value for it in deciles]
        lines = [Line("", (0, 1), (0, 1)), Line("outcomes", *points, has_marks=True)]
        svg = draw_lines("Calibration", "mean probability", "share of positives", lines)
        yield Picture(svg, "Ten groups of one size. On the dashed line a probability is a share.")
    weeks = [
        (it.name, it.quality.roc_auc)
        for it in findings.weeks
        if findings.is_complete(it) and it.quality.roc_auc is not None
    ]
    if weeks:
        names, figures = zip(*weeks[-20:], strict=True)
        lows = [it.value if it.low is None else it.low for it in figures]
        highs = [it.value if it.high is None else it.high for it in figures]
        means = [it.value for it in figures]
        svg = draw_intervals("ROC-AUC of complete weeks", names, means, lows, highs)
        yield Picture(svg, "Each week by its Monday, with its 95 % interval.")


def _list_deciles(quality: Quality) -> Iterator[Block]:
    if not quality.deciles:
        return
    yield Paragraph("Calibration and lift of complete weeks, by tenths of the probabilities:")
    yield Table(
        ("group of scores, highest first", "labelled", "mean probability", "positives", "lift"),
        [_list_decile(place, it) for place, it in enumerate(reversed(quality.deciles), 1)],
    )


def _list_decile(place: int, decile: Decile) -> tuple[str, ...]:
    return (
        str(place),
        f"{decile.rows:,.0f}",
        f"{decile.mean:.4f}",
        spell(decile.share, percent=True),
        spell(decile.lift, digits=2),
    )


def _compare_with_training(findings: Findings) -> Iterator[Block]:
    weeks = findings.definition.recent_weeks
    yield Paragraph(f"The newest {weeks} complete weeks beside the training of their version:")
    rows = []
    for it in findings.recent:
        verdict = {True: "below", False: "as trained", None: "not known"}[it.is_below]
        trained = _NONE if it.baseline is None else f"{it.baseline.roc_auc:.4f}"
        quality = it.part.quality
        rows.append((it.part.name, f"{quality.rows:,}", spell(quality.roc_auc), trained, verdict))
    yield Table(("version", "labelled", "ROC-AUC", "in the training", "verdict"), rows)


def _list_ages(findings: Findings) -> Iterator[Block]:
    yield Heading("By age of the label")
    yield Paragraph(
        "Complete weeks, by the time from the prediction to its outcome. Unlabelled: of the"
        " predictions that are older than this, the share that had no label at this age."
    )
    yield Table(
        ("age of the label", *_MEASURED),
        [
            (
                it.name,
                f"{it.quality.rows:,}",
                _NONE if it.unlabelled_share is None else f"{it.unlabelled_share:.1%}",
                *describe_quality(it.quality),
            )
            for it in findings.ages
        ],
    )
