"""Writes the report of a version: what it was made of, how good it is, and what it is not for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score

from lib.record.contract import Contract, Kind
from lib.record.types import is_text
from lib.training.champion import ChampionComparison
from lib.training.data import TrainingData
from lib.training.evaluation import (
    Group,
    Integers,
    Metrics,
    Probabilities,
    Threshold,
    group_rows,
)
from lib.training.report.console import (
    METRIC_TITLES,
    describe_form,
    describe_rule,
    read_calibration,
)
from lib.training.report.curves import draw_curves, draw_importances
from lib.training.report.document import (
    Block,
    Bullets,
    Heading,
    Paragraph,
    Table,
    write_html,
    write_markdown,
)
from lib.training.report.importance import Importance
from lib.training.report.segments import (
    LEAST_OF_A_CLASS,
    LEAST_ROWS,
    Segment,
    measure_segments,
)

#: The files of a version.
HTML_FILE, MARKDOWN_FILE = "report.html", "report.md"
# The quantiles between which 98 % of a field's numbers lie; the extremes would be single records.
_OUTER = (0.01, 0.5, 0.99)
# A mean probability that is farther from the share of positives is named.
_FAR = 0.05
_NONE = "–"


@dataclass(frozen=True)
class Findings:
    """The findings that the report is written from.

    Attributes:
        name: the name of the model.
        now: the time of the training, with a time zone.
        data: the rows that the model has learnt from.
        contract: the contract of the features.
        probabilities: float64 [n_rows], each from a model that has not seen the row.
        metrics: engine → metric → mean and standard deviation over the folds.
        threshold: the threshold and its rule.
        importances: the importance of each field, the largest first.
        champion: the comparison with the champion, or the reason why there is none.
        training: the facts for the version's metadata.
    """

    name: str
    now: datetime
    data: TrainingData
    contract: Contract
    probabilities: Probabilities
    metrics: Mapping[str, Metrics]
    threshold: Threshold
    importances: Sequence[Importance]
    champion: ChampionComparison | str
    training: Mapping[str, Any]


def write_report(findings: Findings) -> dict[str, bytes]:
    """Write the report twice: file name → content in UTF-8."""
    title = f"Model {findings.name}, trained on {findings.now.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    blocks = list(_list_blocks(findings))
    return {
        HTML_FILE: write_html(title, blocks).encode(),
        MARKDOWN_FILE: write_markdown(title, blocks).encode(),
    }


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
    yield from _describe_data(findings)
    yield from _describe_quality(findings)
    yield Heading("Pictures")
    yield from draw_curves(labels, probabilities, groups, findings.threshold.value)
    yield _tabulate_groups(groups, float(labels.mean()))
    yield from _describe_threshold(findings.threshold, labels, probabilities, findings.training)
    yield from _describe_segments(segments)
    yield from _describe_importances(findings.importances)
    yield from _describe_champion(findings)
    yield from _describe_engines(findings.training)
    yield Heading("What it must not be used for")
    yield Bullets(list(_list_limits(findings, segments)))


def _describe_data(findings: Findings) -> Iterator[Block]:
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


def _describe_quality(findings: Findings) -> Iterator[Block]:
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


def _tabulate_groups(groups: Sequence[Group], share: float) -> Table:
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


def _describe_threshold(
    threshold: Threshold,
    labels: Integers,
    probabilities: Probabilities,
    training: Mapping[str, Any],
) -> Iterator[Block]:
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


def _describe_segments(segments: Sequence[Segment]) -> Iterator[Block]:
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


def _describe_importances(importances: Sequence[Importance]) -> Iterator[Block]:
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


def _describe_champion(findings: Findings) -> Iterator[Block]:
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


def _describe_engines(training: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading("Engines")
    forms = [f"{name}: {describe_form(facts)}" for name, facts in training["compiled"].items()]
    agreement = "spark: Spark fits no such model"
    if "engine_disagreement" in training:
        agreement = f"spark: within {training['engine_disagreement']:.1e} of sklearn"
    yield Bullets([*forms, agreement])


def _list_limits(findings: Findings, segments: Sequence[Segment]) -> Iterator[str]:
    contract = findings.contract
    if findings.data.origin.get("source") == "synthetic":
        yield "Anything real: the data are synthetic."
    yield (
        "Records of another population, place or time than the data's: nothing here says how good"
        " it is there. Measure it anew with outcomes."
    )
    yield from _name_segments(
        "Segments that the data do not hold, whose scores are guesses",
        segments,
        lambda it: it.rows == 0,
    )
    yield from _name_segments(
        "Segments that were too small to be measured",
        segments,
        lambda it: it.rows > 0 and it.roc_auc is None,
    )
    yield from _name_segments(
        f"Counting on the probability as it is, where its mean is more than {_FAR:g} from the share"
        " of positives",
        segments,
        lambda it: it.roc_auc is not None and abs(it.mean - it.share) > _FAR,
    )
    numbers = [field for field in contract.features if field.kind in (Kind.NUMBER, Kind.INTEGER)]
    if numbers:
        yield (
            f"Numbers far outside of those in the table of the data ({_join(numbers)}): the"
            " contract takes them, but the model has not seen any."
        )
    yield (
        "Finding causes: an importance says what the model looks at, not what changes the outcome."
    )
    yield (
        "Decisions with serious consequences for a person that nobody reviews, or that the law"
        " forbids to base on one of the fields."
    )


def _name_segments(
    what: str, segments: Sequence[Segment], is_meant: Callable[[Segment], bool]
) -> Iterator[str]:
    names = [it.name for it in segments if is_meant(it)]
    if names:
        yield f"{what}: {', '.join(names)}."


def _join(fields: Sequence[Any]) -> str:
    return ", ".join(field.name for field in fields)


def _spread(summary: Mapping[str, float]) -> str:
    return f"{summary['mean']:.4f} ± {summary['std']:.3f}"


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4f}"


def _share(value: float | None) -> str:
    return _NONE if value is None else f"{value:.1%}"
