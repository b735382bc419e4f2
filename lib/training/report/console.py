"""Describes a trained version on the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from rich import box
from rich.table import Table

from lib.settings.jobs.train import CandidateName
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


def build_candidates_table(version: ModelVersion) -> Table:
    """Build a table with a row for each candidate that was tried."""
    tried = version.metadata.training["candidates"]
    # Without padding at its edges the table fits into 80 columns.
    title = "candidates, simplest first"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("candidate", no_wrap=True)
    for title in ("ROC-AUC", "ECE", "log loss", "above least"):
        table.add_column(title, justify="right", no_wrap=True)
    for name in filter(tried.__contains__, get_args(CandidateName)):
        facts = tried[name]
        if "left_out" in facts:
            table.add_row(name, f"not tried: {facts['left_out']}")
            continue
        metrics, above = facts["metrics"], facts["log_loss_above_best"]
        table.add_row(
            name,
            f"{metrics['roc_auc']['mean']:.4f} ± {metrics['roc_auc']['std']:.3f}",
            f"{facts['calibration_error']:.4f}",
            f"{metrics['log_loss']['mean']:.4f}",
            f"{above['mean']:.4f} ± {above['error']:.4f}",
        )
    return table


def describe_version(version: ModelVersion) -> str:
    """Describe the candidate, the threshold, agreement of the engines, and the compiled forms."""
    training = version.metadata.training
    lines = [
        f"candidate    {training['candidate']}",
        f"threshold    {version.metadata.threshold:.2f} ({describe_rule(training)})",
        f"calibration  {read_calibration(training):.4f} off on average",
    ]
    if "engine_disagreement" in training:
        disagreement = f"{training['engine_disagreement']:.1e}"
        lines.append(f"agreement    both engines within {disagreement} in probability")
    else:
        lines.append("agreement    Spark fits no such model, so there is no second engine")
    lines += [f"{name:<12} {describe_form(facts)}" for name, facts in training["compiled"].items()]
    return "\n".join(lines)


def describe_rule(training: Mapping[str, Any]) -> str:
    """Describe in a phrase how the threshold was chosen."""
    rule, f1 = training["threshold_rule"], f"{training['f1_at_threshold']:.3f}"
    if "missed" not in rule:
        return f"best F1: {f1}"
    return (
        f"least cost where a missed record costs {rule['missed']:g} and a false alarm"
        f" {rule['alarm']:g}: {rule['cost_per_row']:.4f} a record; F1 {f1}"
    )


def read_calibration(training: Mapping[str, Any]) -> float:
    """Read the chosen candidate's calibration error."""
    error: float = training["candidates"][training["candidate"]]["calibration_error"]
    return error


def describe_form(facts: Mapping[str, Any]) -> str:
    """Describe how near a compiled form is, or why there is none."""
    if "left_out" in facts:
        return f"left out: {facts['left_out']}"
    return f"within {facts['largest_difference']:.1e} of sklearn on {facts['rows']:,} rows"
