"""Checks the model as a start does: it loads, scores what the contract allows, fits the mode."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from lib.errors import ScoringError
from lib.findings import Finding, Severity
from lib.record.contract import Contract
from lib.score.base import ModelBackend
from lib.score.choice import find_contract, find_model, load_backend
from lib.settings.jobs.check import CheckSettings
from lib.stream.mode_check import check_mode
from lib.stream.reasons import find_reasons
from lib.stream.route import Route, choose_route
from lib.stream.trial.models import Trial, load_trial
from lib.tools.check.examination import Examination


def check_files(
    examination: Examination, settings: CheckSettings
) -> tuple[Path | str, Contract] | None:
    """Find model and contract, and open neither; None if one of them is not found."""
    path = examination.attempt("model", lambda: find_model(settings), "a model")
    if path is None:
        return None
    contract = examination.attempt("contract", lambda: find_contract(settings, path))
    if contract is None:
        return None
    examination.note("contract", f"{contract.name}, max_bytes = {contract.max_bytes}")
    return path, contract


def check_model(
    examination: Examination, spark: SparkSession, settings: CheckSettings, path: Path | str
) -> Route | None:
    """Load the model, let it score what the contract allows, and choose the way of records.

    Returns:
        The way of records; None if the model cannot be used.
    """
    expected = "a model that loads, and scores what the contract allows"
    scorer = examination.attempt("model", lambda: load_backend(spark, settings, path), expected)
    if scorer is None:
        return None
    examination.note("model", f"{scorer.scored_by}, threshold {scorer.threshold:g}", expected)
    examination.add(judge_fallback(scorer, settings.backend))
    route = choose_route(spark, settings, scorer)
    examination.note(
        "way of records", f"decode: {route.decode}, score: {route.score} ({route.why})"
    )
    if settings.reasons:
        check, expected = "reasons", "a model whose effects were saved"
        if examination.attempt(check, lambda: find_reasons(scorer, settings.reasons), expected):
            examination.note(check, f"the {settings.reasons} largest", expected)
    if settings.is_real_time:
        try:
            check_mode(spark, settings, scorer, route)
            examination.note("real-time mode", "model, batch and task slots fit")
        except ScoringError as error:
            examination.add(Finding.failed("real-time mode", error))
    elif settings.has_rivals:
        _check_rivals(examination, spark, settings, scorer, route)
    return route


def _check_rivals(
    examination: Examination,
    spark: SparkSession,
    settings: CheckSettings,
    scorer: ModelBackend,
    route: Route,
) -> None:
    """Load the challenger and the shadows, as a start does."""
    check, expected = "challenger and shadows", "models that score the champion's records"

    def load() -> Trial:
        check_mode(spark, settings, scorer, route)
        contract = find_contract(settings, find_model(settings))
        return load_trial(spark, settings, scorer, contract)

    trial = examination.attempt(check, load, expected)
    if trial is not None:
        found = (f"{it.scored_by}, threshold {it.threshold:g}" for it in trial.list_scorers())
        examination.note(check, "; ".join(found), expected)


def judge_fallback(scorer: ModelBackend, backend: str) -> Finding:
    """Say whether the model itself scores, or its fallback."""
    check, expected = "fallback", "not in use"
    if not scorer.using_fallback:
        return Finding.ok(check, expected, expected)
    return Finding(
        *(Severity.WARNING, check, f"in use: {scorer.scored_by} scores", expected),
        f"the {scorer.kind} model cannot be used, and {scorer.scored_by} scores instead",
        f"the log above says why; name a --backend instead of {backend}, and the job refuses it",
    )
