"""Describes the job at one moment as JSON types, for the page."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lib.messages.tally import BOUNDS_S, Relation, read_rejection
from lib.telemetry.figures import DriftFigures, Figures, PartitionLag
from lib.telemetry.page.history import History
from lib.telemetry.page.percentiles import find_percentile
from lib.telemetry.page.setting_rows import SettingRow
from lib.telemetry.page.verdict import judge
from lib.telemetry.state import JobState

# The page shows so many partitions: those that are furthest behind.
_MOST_PARTITIONS = 100
# And so many features: those that have drifted most.
_MOST_FEATURES = 8


@dataclass(frozen=True)
class Facts:
    """The facts that stay as they are while the job runs.

    Attributes:
        query: the name of the query.
        topics: ``input``, ``predictions`` and ``dead_letters`` → the topics.
        settings: the settings, without secrets.
        shows_records: whether records can be searched.
        has_documents: whether the documents can be read on the page.
    """

    query: str
    topics: dict[str, str]
    settings: Sequence[SettingRow] = ()
    shows_records: bool = False
    has_documents: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the facts and what is known of the process as JSON types."""
        return {
            "query": self.query,
            "topics": self.topics,
            "settings": [asdict(row) for row in self.settings],
            "shows_records": self.shows_records,
            "has_documents": self.has_documents,
            "host": platform.node(),
            "process": os.getpid(),
        }


def take_snapshot(
    figures: Figures, job: JobState, history: History, now_s: float
) -> dict[str, Any]:
    """Describe what the job does now.

    Args:
        figures: the figures of the process, which the metrics show too.
        job: the state and the events.
        history: the points of the last hour.
        now_s: the present time in seconds since 1970.
    """
    status = job.status
    findings = judge(figures, job, history, now_s)
    newest = history.newest
    with figures.reading():
        model = figures.model
        return {
            "at_s": now_s,
            "started_s": figures.started_s,
            "program": asdict(figures.program),
            "findings": [asdict(finding) for finding in findings],
            "state": asdict(status),
            "records": figures.records,
            "labels": _count_labels(figures),
            "dead_letters": _list_dead_letters(figures),
            "brake": None if figures.brake is None else asdict(figures.brake),
            "replayed": figures.replayed,
            "latency": {
                f"p{share:g}_s": find_percentile(
                    figures.tally.record_waits.counts, BOUNDS_S, share / 100
                )
                for share in (50, 95, 99)
            },
            "committed_s": figures.committed_s,
            "batches": figures.batches,
            "last_batch": None if figures.last_batch is None else asdict(figures.last_batch),
            "model": None if model is None else asdict(model),
            "refusal": None if figures.refusal is None else asdict(figures.refusal),
            "rivals": _list_rivals(figures),
            "shadow_skipped_batches": figures.spare_batches,
            "model_loads": dict(figures.model_loads),
            "outcomes": None if figures.outcomes is None else asdict(figures.outcomes),
            "restarts": dict(figures.restarts),
            "fenced": figures.fenced,
            "client_errors": dict(figures.client_errors),
            "partition_count": len(figures.lag),
            "partitions": _list_partitions(figures.lag, now_s),
            "drift": None if figures.drift is None else _describe_drift(figures.drift),
            "processes": {name: asdict(use) for name, use in figures.processes.items()},
            "heap": None if figures.heap is None else asdict(figures.heap),
            "events": [asdict(event) for event in reversed(job.events)],
            "point": None if newest is None else asdict(newest),
        }


def _count_labels(figures: Figures) -> dict[str, int]:
    """Count the predictions of each label, whichever model has made them."""
    counts: Counter[str] = Counter()
    for (_, label), count in figures.count_predictions().items():
        counts[label] += count
    return dict(counts)


def _list_rivals(figures: Figures) -> list[dict[str, Any]]:
    """List the models that score beside the one in force, with their counts.

    A challenger has the share of the predictions that it made; a shadow the share of its labels
    that are the champion's, and its errors. A share is None where there is nothing to count.
    """
    rows: list[dict[str, Any]] = []
    if figures.challenger:
        made: Counter[str] = Counter()
        for (model, _), count in figures.count_predictions().items():
            made[model] += count
        rows.append(
            {
                "role": "challenger",
                "model": figures.challenger,
                "wanted_share": figures.challenger_share,
                "answers": made[figures.challenger],
                "share": _divide(made[figures.challenger], made.total()),
            }
        )
    for shadow in figures.shadows:
        counts: Counter[Relation] = Counter()
        errors: Counter[str] = Counter()
        for (model, relation, what), count in figures.count_shadows().items():
            if model == shadow:
                counts[relation] += count
                if relation is Relation.ERROR and count:
                    errors[what] += count
        agreed = counts[Relation.AGREES]
        rows.append(
            {
                "role": "shadow",
                "model": shadow,
                "answers": counts.total() - counts[Relation.ERROR],
                "agreement": _divide(agreed, agreed + counts[Relation.DIFFERS]),
                "errors": dict(errors),
            }
        )
    return rows


def _divide(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _list_dead_letters(figures: Figures) -> list[dict[str, Any]]:
    """List rule, field and number of dead letters, the most frequent first."""
    rows = []
    for outcome, count in figures.count_outcomes(figures.dead_letter_topic).items():
        rule, name = read_rejection(outcome)
        row = {"rule": rule, "field": name, "count": count}
        rejection = figures.rejections.get(outcome)
        rows.append(row if rejection is None else row | asdict(rejection))
    return sorted(rows, key=lambda row: (-row["count"], row["rule"], row["field"]))


def _describe_drift(drift: DriftFigures) -> dict[str, Any]:
    """Describe the worst features of the newest window that was judged."""
    names = ("name", "psi", "limit", "unseen", "missing", "is_over")
    return {
        "model_version": drift.model_version,
        "ended_s": drift.ended_s,
        "records": drift.records,
        "open_since_s": drift.open_since_s,
        "open_records": drift.open_records,
        "rows": [
            {name: getattr(it, name) for name in names} for it in drift.found[:_MOST_FEATURES]
        ],
    }


def _list_partitions(lags: dict[int, PartitionLag], now_s: float) -> list[dict[str, Any]]:
    """List the partitions by number; of many, those that are furthest behind."""
    chosen = sorted(lags, key=lambda number: -(lags[number].records or 0))[:_MOST_PARTITIONS]
    return [
        {
            "partition": number,
            "records": lags[number].records,
            "age_s": lags[number].find_age_s(now_s),
            "held_back": lags[number].end - lags[number].stable,
            "answered": lags[number].answered,
            "end": lags[number].end,
        }
        for number in sorted(chosen)
    ]
