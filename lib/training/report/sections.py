"""Writes the sections of a version's report, each with its heading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from lib.record.types import is_text
from lib.training.evaluation import Group, Integers, Probabilities, Threshold
from lib.training.paired.quality import LEAST_OF_A_CLASS, LEAST_ROWS
from lib.training.report.console import (
    METRIC_TITLES,
    describe_form,
    describe_rule,
    read_calibration,
)
from lib.training.report.curves import draw_importances
from lib.training.report.document import Block, Bullets, Heading, Paragraph, Table
from lib.training.report.findings import Findings
from lib.training.report.importance import Importance
from lib.training.report.segments import Segment

# The quantiles between which 98 % of a field's numbers lie; the extremes would be single records.
_OUTER = (0.01, 0.5, 0.99)
_NONE = "–"


def describe_data(findings: Findings) -> Iterator[Block]:
    """Describe the rows and the values of each field."""
    data, contract = findings.data, findings.contract
    origin = ((name, str(value)) for name, value in data.origin.items())
    yield Heading("Data")
    yield Table(
        ("", "found"),
        [
            ("rows", f"{data.rows:,}"),
            (
                f"{contract.label.name} is {contract.positive_label}",
                f"{int(data.labels.sum()):,} ({data.labels.mean():.2%})",
            ),
            *origin,
            ("contract", f"{contract.name}, fingerprint {contract.fingerprint}"),
            ("seed of the folds", str(findings.training["seed"])),
        ],
    )
    rows = []
    for field in contract.features:
        column = data.features[field.name]
        missing = f"{int(column.isna().sum()):,}"
        values = [_NONE] * len(_OUTER)
        if not is_text(field) and column.notna().any():
            values = [f"{number:,.6g}" for number in column.quantile(_OUTER)]
        rows.append((field.name, missing, f"{column.nunique():,}", *values))
    yield Table(("field", "missing", "values", "1 % are below", "median", "1 % are above"), rows)


def describe_quality(findings: Findings) -> Iterator[Block]:
    """Describe the metrics of each engine and of each candidate."""
    training = findings.training
    yield Heading("Quality")
    yield Paragraph("Mean ± standard deviation over the folds.")
    yield Table(
        ("engine", *METRIC_TITLES.values()),
        [
            (engine, *(_spread(metrics[key]) for key in METRIC_TITLES))
            for engine, metrics in findings.metrics.items()
        ],
    )
    yield Paragraph(
        f"Expected calibration error (ECE): {read_calibration(training):.4f}, the mean distance of"
        " a probability from the share of positives, over ten groups of one size."
    )
    rows = []
    for name, facts in training["candidates"].items():
        if "left_out" in facts:
            rows.append((name, f"not tried: {facts['left_out']}", _NONE, _NONE, _NONE))
            continue
        above = facts["log_loss_above_best"]
        rows.append(
            (
                name,
                _spread(facts["metrics"]["roc_auc"]),
                f"{facts['calibration_error']:.4f}",
                _spread(facts["metrics"]["log_loss"]),
                f"{above['mean']:.4f} ± {above['error']:.4f}",
            )
        )
    yield Table(("candidate", "ROC-AUC", "ECE", "log loss", "above the least"), rows)
    yield Paragraph(
        f"Chosen: {training['candidate']}, the simplest whose log loss is at most one standard"
        " error above the least, compared row by row. A candidate that no fast engine can score"
        " loses to one that is as near. Parameters, if it has any, were chosen within the training"
        " rows of each fold."
    )


def tabulate_groups(groups: Sequence[Group], share: float) -> Table:
    """Tabulate groups of scores, the highest first."""
    return Table(
        ("group of scores, highest first", "rows", "mean probability", "positives", "lift"),
        [
            (
                str(number),
                f"{group.rows:,}",
                f"{group.mean:.4f}",
                f"{group.share:.2%}",
                f"{group.share / share:.2f}",
            )
            for number, group in enumerate(reversed(groups), 1)
        ],
    )


def describe_threshold(
    threshold: Threshold,
    labels: Integers,
    probabilities: Probabilities,
    training: Mapping[str, Any],
) -> Iterator[Block]:
    """Describe the threshold, its rule, and what is right and wrong with it."""
    predicted = probabilities >= threshold.value
    hits, alarms = int(np.sum(labels[predicted] == 1)), int(np.sum(labels[predicted] == 0))
    missed, passed = int(np.sum(labels[~predicted] == 1)), int(np.sum(labels[~predicted] == 0))
    yield Heading("Threshold")
    yield Paragraph(
        f"The prediction is positive from a probability of {threshold.value:.2f}:"
        f" {describe_rule(training)}."
    )
    yield Table(
        ("", "predicted positive", "predicted negative"),
        [("positive", f"{hits:,}", f"{missed:,}"), ("negative", f"{alarms:,}", f"{passed:,}")],
    )
    precision = f"{hits / (hits + alarms):.2%}" if hits + alarms else "not defined"
    yield Paragraph(
        f"Precision {precision}, recall {hits / (hits + missed):.2%};"
        f" {predicted.mean():.2%} of the rows are predicted positive."
    )


def describe_segments(segments: Sequence[Segment]) -> Iterator[Block]:
    """Describe the quality within each segment."""
    yield Heading("Segments")
    yield Paragraph(
        f"Segments of at least {LEAST_ROWS} rows and {LEAST_OF_A_CLASS} of each class are measured;"
        " recall and precision are those at the threshold."
    )
    columns = ("segment", "rows", "positives", "mean probability")
    measured = ("ROC-AUC", "log loss", "recall", "precision")
    yield Table(
        (*columns, *measured),
        [
            (
                it.name,
                f"{it.rows:,}",
                _share(it.share if it.rows else None),
                _number(it.mean if it.rows else None),
                _number(it.roc_auc),
                _number(it.log_loss),
                _share(it.recall),
                _share(it.precision),
            )
            for it in segments
        ],
    )


def describe_importances(importances: Sequence[Importance]) -> Iterator[Block]:
    """Describe how much each field matters."""
    yield Heading("Importances")
    yield Paragraph(
        "By how much the log loss of held-out rows grows when the values of one field are exchanged"
        " between them: mean and 95 % interval over the folds. Fields that say the same share"
        " their importance."
    )
    yield draw_importances(importances)
    yield Table(
        ("field", "growth of log loss", "from", "to"),
        [(it.field, f"{it.mean:.5f}", f"{it.low:.5f}", f"{it.high:.5f}") for it in importances],
    )


def describe_champion(findings: Findings) -> Iterator[Block]:
    """Describe the comparison with the champion."""
    champion = findings.champion
    yield Heading("Comparison with the champion")
    if isinstance(champion, str):
        yield Paragraph(champion)
        return
    difference = champion.difference
    own = float(roc_auc_score(findings.data.labels, findings.probabilities))
    if abs(difference.mean) <= difference.error:
        verdict = "no difference that one standard error does not cover"
    else:
        verdict = "the new model is " + ("worse" if difference.mean > 0 else "better")
    yield Paragraph(
        f"{champion.method} Log loss of the new model less that of {champion.reference}, on the"
        f" same {findings.data.rows:,} rows: {difference.mean:+.5f} ± {difference.error:.5f}"
        f" (standard error): {verdict}."
    )
    yield Table(
        ("", "ROC-AUC over all rows"),
        [("new", f"{own:.4f}"), (champion.reference, f"{champion.roc_auc:.4f}")],
    )


def describe_engines(training: Mapping[str, Any]) -> Iterator[Block]:
    """Describe the engines that score the model, and how far they agree."""
    yield Heading("Engines")
    forms = [f"{name}: {describe_form(facts)}" for name, facts in training["compiled"].items()]
    agreement = "spark: Spark fits no such model"
    if "engine_disagreement" in training:
        agreement = f"spark: within {training['engine_disagreement']:.1e} of sklearn"
    yield Bullets([*forms, agreement])


def _spread(summary: Mapping[str, float]) -> str:
    return f"{summary['mean']:.4f} ± {summary['std']:.3f}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1%}"
