"""Writes what a comparison by topics has found, for people. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from lib.evaluation.definition import Status
from lib.printable import shorten
from lib.tools.models.table import NOTHING
from lib.tools.models.topics.agreement import LEAST_PAIRS, Agreement
from lib.tools.models.topics.findings import Findings, PairedFindings, Quality
from lib.tools.models.topics.outcomes import Outcomes
from lib.training.paired.estimate import Estimate, Share
from lib.training.paired.quality import LEAST_OF_A_CLASS, LEAST_ROWS, Measured
from lib.training.report.console import METRIC_TITLES
from lib.training.report.document import Block, Bullets, Heading, Paragraph, Table

_QUANTILE_TITLES = ("least", "5 %", "25 %", "median", "75 %", "95 %", "most")
# Answers without an outcome that counts, in words.
_STATUSES = {
    Status.UNLABELLED: "without an outcome yet",
    Status.KNOWN_BEFORE: "scored after their outcome",
    Status.CONTRADICTED: "with two outcomes at one time",
}
# A label that is longer is cut in the title of a column.
_MOST_CHARS = 12


@dataclass(frozen=True)
class Report:
    """The result of a comparison.

    Attributes:
        findings: two models each.
        notes: further facts that a reader needs, as sentences.
        labels: the negative and the positive label.
        cut: the time before which nothing was read because there was too much; None for all.
        unreadable: topic → messages that are no predictions.
        outcomes: the outcomes that were read; None without any.
    """

    findings: Sequence[Findings]
    notes: Sequence[str]
    labels: tuple[str, str]
    cut: datetime | None = None
    unreadable: dict[str, int] = field(default_factory=dict)
    outcomes: Outcomes | None = None


def list_blocks(report: Report) -> Iterator[Block]:
    """List the blocks of the report for people."""
    if report.notes:
        yield Bullets(report.notes)
    for found in report.findings:
        yield from _describe(found, report.labels)


def _describe(found: Findings, labels: tuple[str, str]) -> Iterator[Block]:
    first, second = found.sides
    span = f"scored from {found.first} to {found.last}"
    if isinstance(found, PairedFindings):
        yield Heading(f"A = {first.name}, B = {second.name}, its shadow")
        agreement = found.agreement
        yield Paragraph(
            f"Paired: {agreement.rows:,} records of {agreement.subjects:,} subjects, {span}, which"
            " both have scored."
        )
        yield Bullets(list(_list_facts(found)))
    else:
        yield Heading(f"A = {first.name}, B = {second.name}, not paired")
        yield Paragraph(
            f"Unpaired: A has scored {first.rows:,} records of {first.subjects:,} subjects, B"
            f" {second.rows:,} others of {second.subjects:,}, {span}. Part of each difference comes"
            " from the records; a shadow gives a paired comparison."
        )
    yield _tabulate_sides(found, labels[1])
    yield _tabulate_quantiles(found)
    if isinstance(found, PairedFindings):
        if found.agreement.changes:
            yield _tabulate_changes(found.agreement)
        yield from _tabulate_segments(found, labels)
    if found.quality is not None:
        yield from _describe_quality(found, found.quality, labels[1])


def _list_facts(found: PairedFindings) -> Iterator[str]:
    same = found.agreement.same
    yield (
        f"Same label: {same.hits:,} of {same.rows:,}, {spell_share(same)}, 95 % interval"
        f" {spell_interval(same)}."
    )
    if found.failures:
        causes = ", ".join(f"{name} {count:,}" for name, count in found.failures.items())
        yield f"B failed on {sum(found.failures.values()):,} more records: {causes}."
    yield (
        f"Without a partner: {found.without_second:,} predictions of A have no answer of B, between"
        f" its first and its last one; {found.without_first:,} answers of B have no prediction of"
        " any model."
    )


def _tabulate_sides(found: Findings, positive: str) -> Table:
    first, second = found.sides
    return Table(
        ("", "A", "B", "B - A", "95 % interval"),
        [
            (
                f"share of {shorten(positive, _MOST_CHARS)}",
                *(spell_share(it.positive) for it in (first, second)),
                f"{found.positive_shift.mean:+.2%}".replace("%", " %"),
                spell_ends(found.positive_shift, "+.2%"),
            ),
            (
                "mean probability",
                *(f"{it.mean.mean:.4f}" for it in (first, second)),
                f"{found.mean_shift.mean:+.4f}",
                spell_ends(found.mean_shift, "+.4f"),
            ),
        ],
    )


def _tabulate_quantiles(found: Findings) -> Table:
    rows = [
        (name, *(f"{it:.4f}" for it in side.quantiles))
        for name, side in zip("AB", found.sides, strict=True)
    ]
    if isinstance(found, PairedFindings):
        rows.append(("B - A", *(f"{it:+.4f}" for it in found.agreement.quantiles)))
    return Table(("probability", *_QUANTILE_TITLES), rows)


def _tabulate_changes(agreement: Agreement) -> Table:
    return Table(
        ("labels that change", "records", "share"),
        [
            (f"{old} becomes {new}", f"{count:,}", _spell_percent(count / agreement.rows))
            for (old, new), count in agreement.changes.items()
        ],
    )


def _tabulate_segments(found: PairedFindings, labels: tuple[str, str]) -> Iterator[Block]:
    negative, positive = labels
    titles = [f"to {shorten(it, _MOST_CHARS)}" for it in (positive, negative)]
    for name, segments in groupby(found.segments, key=lambda it: it.field):
        rows = [
            (
                it.value,
                f"{it.agreement.rows:,}",
                spell_share(it.agreement.same),
                f"{it.agreement.changes.get((negative, positive), 0):,}",
                f"{it.agreement.changes.get((positive, negative), 0):,}",
                _spell_reach(it.agreement.shift),
            )
            for it in segments
        ]
        yield Table((name, "records", "same label", *titles, "B - A, 95 %"), rows)
    facts = [
        f"{count:,} records are in no segment of {name}: they were not found in the input topic, or"
        " several could be meant."
        for name, count in found.fields_unknown.items()
        if count
    ]
    facts.append(
        f"Segments of at least {LEAST_PAIRS} records are listed. Among 20 intervals one is wrong on"
        " average."
    )
    yield Bullets(facts)


def _describe_quality(found: Findings, quality: Quality, positive: str) -> Iterator[Block]:
    names = ("A and B",) if isinstance(found, PairedFindings) else ("A", "B")
    facts = []
    for name, judged, side in zip(names, quality.sides, found.sides, strict=False):
        others = ", ".join(
            f"{judged.statuses.get(status, 0):,} {words}" for status, words in _STATUSES.items()
        )
        facts.append(
            f"{name}: {judged.labelled:,} of {side.rows:,} records with an outcome"
            f" ({_spell_percent(judged.labelled / side.rows)}), {judged.positives:,} of them"
            f" {positive}; {others}."
        )
    for name, judged in zip("AB", quality.sides, strict=True):
        with_one, without = judged.means
        if with_one is not None and without is not None:
            facts.append(
                f"The mean probability of {name} is {with_one:.4f} where there is an outcome and"
                f" {without:.4f} where there is none yet."
            )
    yield Bullets(facts)
    if not quality.measured:
        yield Paragraph(
            f"The outcomes are too few to compare quality: expected at least {LEAST_ROWS} of each"
            f" model, and {LEAST_OF_A_CLASS} of each label."
        )
        return
    yield Table(
        ("quality", "A", "B", "B - A, 95 %", "needed", "better"),
        [
            (
                METRIC_TITLES[it.name],
                f"{it.first.mean:.4f}",
                f"{it.second.mean:.4f}",
                _spell_reach(it.difference),
                NOTHING if it.needed is None else _spell_count(it.needed),
                _name_better(it),
            )
            for it in quality.measured
        ],
    )
    yield Paragraph(
        "'needed' is the number of records with an outcome that would tell a difference of this"
        " size from none, with 80 % power at a level of 5 %; there are"
        f" {quality.measured[0].rows:,}."
    )


def _name_better(measured: Measured) -> str:
    if not measured.difference.is_told_from_zero:
        return "not known"
    return "A" if measured.loss > 0 else "B"


def _spell_percent(share: float) -> str:
    return f"{share:.2%}".replace("%", " %")


def spell_share(share: Share) -> str:
    """Spell a share in percent."""
    return _spell_percent(share.value)


def spell_interval(share: Share) -> str:
    """Spell the 95 % interval of a share in percent."""
    return f"{_spell_percent(share.low)} to {_spell_percent(share.high)}"


def spell_ends(estimate: Estimate, form: str) -> str:
    """Spell the 95 % interval of a value in a form of numbers; a dash where it is not known."""
    if not math.isfinite(estimate.error):
        return NOTHING
    return " to ".join(format(it, form).replace("%", " %") for it in estimate.interval)


def _spell_reach(estimate: Estimate) -> str:
    low, high = estimate.interval
    reach = f"{(high - low) / 2:.4f}" if math.isfinite(estimate.error) else NOTHING
    return f"{estimate.mean:+.4f} ± {reach}"


def _spell_count(count: int) -> str:
    """Spell a number with two significant digits, as more of them would claim too much."""
    digits = max(0, len(str(count)) - 2)
    return f"{round(count, -digits):,}"
