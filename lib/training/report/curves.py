"""Computes the curves of a report from labels and held-out probabilities, and draws them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from lib.training.evaluation import Group, Integers, Probabilities
from lib.training.report.document import Picture
from lib.training.report.importance import Importance
from lib.training.report.pictures import Line, Values, draw_intervals, draw_lines

# A curve with more points looks the same, and makes a file of megabytes.
_POINTS = 200
_BINS = 25
_MAX_BARS = 20


def draw_curves(
    labels: Integers, probabilities: Probabilities, groups: Sequence[Group], threshold: float
) -> list[Picture]:
    """Draw ROC, precision and recall, calibration, lift, and the distribution of scores.

    Args:
        labels: the labels, int64 [n_rows], 0 or 1.
        probabilities: float64 [n_rows] from models that have not seen the row.
        groups: the groups of :func:`lib.training.evaluation.group_rows`.
        threshold: the threshold of the prediction.
    """
    return [
        _draw_roc(labels, probabilities),
        _draw_precision(labels, probabilities),
        _draw_calibration(groups),
        _draw_lift(labels, probabilities),
        _draw_distribution(labels, probabilities, threshold),
    ]


def draw_importances(importances: Sequence[Importance]) -> Picture:
    """Draw the largest importances with their intervals."""
    shown = importances[:_MAX_BARS]
    svg = draw_intervals(
        "Growth of log loss",
        [it.field for it in shown],
        [it.mean for it in shown],
        [it.low for it in shown],
        [it.high for it in shown],
    )
    return Picture(svg, "Growth of log loss when a field's values are exchanged between rows.")


def _draw_roc(labels: Integers, probabilities: Probabilities) -> Picture:
    alarms, hits, _ = roc_curve(labels, probabilities)
    lines = [Line("", (0, 1), (0, 1)), Line("model", *_thin(alarms, hits))]
    svg = draw_lines("ROC", "share of negatives found", "share of positives found", lines)
    return Picture(svg, "Found means: with a probability above a threshold, from 1 down to 0.")


def _draw_precision(labels: Integers, probabilities: Probabilities) -> Picture:
    precision, recall, _ = precision_recall_curve(labels, probabilities)
    share = float(labels.mean())
    lines = [Line("", (0, 1), (share, share)), Line("model", *_thin(recall, precision))]
    svg = draw_lines("Precision and recall", "recall", "precision", lines)
    return Picture(svg, "The dashed line is the share of positives, which guessing reaches.")


def _draw_calibration(groups: Sequence[Group]) -> Picture:
    points = [group.mean for group in groups], [group.share for group in groups]
    lines = [Line("", (0, 1), (0, 1)), Line("model", *points, has_marks=True)]
    svg = draw_lines("Calibration", "mean probability", "share of positives", lines)
    return Picture(svg, "Ten groups of one size. On the dashed line a probability is a share.")


def _draw_lift(labels: Integers, probabilities: Probabilities) -> Picture:
    ordered = labels[np.argsort(-probabilities, kind="stable")]
    counts = np.arange(1, len(ordered) + 1)
    lift = np.cumsum(ordered) / counts / labels.mean()
    # The first few rows are a matter of chance.
    first = max(len(ordered) // 50, 1) - 1
    shares, lifts = _thin(counts[first:] / len(ordered), lift[first:])
    end = float(np.ceil(max(lifts) + 0.1))
    lines = [Line("", (0, 1), (1, 1)), Line("model", shares, lifts)]
    svg = draw_lines(
        "Lift", "share of rows, the highest scores first", "times as many", lines, y_end=end
    )
    return Picture(svg, "How many times as many positives are among these rows as among all.")


def _draw_distribution(labels: Integers, probabilities: Probabilities, threshold: float) -> Picture:
    edges = np.linspace(0, 1, _BINS + 1)
    lines, end = [], 0.0
    for value, name in ((0, "negatives"), (1, "positives")):
        shares = np.histogram(probabilities[labels == value], edges)[0] / np.sum(labels == value)
        end = max(end, float(shares.max()))
        lines.append(Line(name, np.repeat(edges, 2)[1:-1], np.repeat(shares, 2)))
    lines.append(Line("", (threshold, threshold), (0, end)))
    svg = draw_lines(
        "Scores", "probability", "share of the class", lines, y_end=float(np.ceil(end * 20) / 20)
    )
    return Picture(svg, "The dashed line is the threshold.")


def _thin(x: Values, y: Values) -> tuple[Values, Values]:
    """Keep so many points of a curve as a picture shows, at equal distances of their number."""
    kept = np.unique(np.linspace(0, len(x) - 1, _POINTS).astype(int))
    return np.asarray(x)[kept], np.asarray(y)[kept]
