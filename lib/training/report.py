"""Describes a trained version for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table

from lib.store import ModelVersion

#: Name of a metric → its title in tables.
METRIC_TITLES = {
    "roc_auc": "ROC-AUC",
    "pr_auc": "PR-AUC",
    "brier": "Brier",
    "log_loss": "log loss",
}


def build_metrics_table(version: ModelVersion) -> Table:
    """Build a table with a row for each engine: mean ± standard deviation over the folds."""
    training = version.metadata.training
    title = f"{version.reference}: {training['rows']:,} rows, {training['folds']}-fold CV"
    table = Table(title=title, title_justify="left", box=box.SIMPLE)
    table.add_column("engine")
    for name in METRIC_TITLES.values():
        table.add_column(name, justify="right")
    for engine, metrics in version.metadata.metrics.items():
        cells = [f"{metrics[key]['mean']:.4f} ± {metrics[key]['std']:.3f}" for key in METRIC_TITLES]
        table.add_row(engine, *cells)
    return table


def describe_version(version: ModelVersion) -> str:
    """Describe threshold, agreement of the engines, and the compiled forms."""
    threshold, training = version.metadata.threshold, version.metadata.training
    compiled = [
        f"{name:<12} {_describe_form(facts)}" for name, facts in training["compiled"].items()
    ]
    lines = (
        f"threshold    {threshold:.2f} (best F1: {training['f1_at_threshold']:.3f})\n"
        f"agreement    both engines within {training['engine_disagreement']:.1e} in probability"
    )
    return "\n".join([lines, *compiled])


def _describe_form(facts: Mapping[str, Any]) -> str:
    if "left_out" in facts:
        return f"left out: {facts['left_out']}"
    return f"within {facts['largest_difference']:.1e} of sklearn on {facts['rows']:,} rows"
