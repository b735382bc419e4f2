"""Compiles the trained pipeline to faster forms, and compares their probabilities with its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pyspark.sql import SparkSession
from sklearn.pipeline import Pipeline

from lib.errors import name_error
from lib.record.contract import Contract
from lib.score.backends.onnx.model import OnnxModel
from lib.score.registry import BACKENDS
from lib.synth import draw_features
from lib.training.compile.edges import Score, make_edges
from lib.training.compile.export import export_onnx, export_sql
from lib.training.compile.graph import has_own_graph
from lib.training.spark_fit import score_expression

logger = logging.getLogger(__name__)

#: The largest difference from scikit-learn's probability. Messages have six decimals.
MAX_DIFFERENCE = 1e-6
GENERATED_ROWS = 100_000
# A larger expression is left out of Spark's generated code, and is slower than Python.
MAX_SQL_CHARS = 32_000
_HINT = "pip install the `compiled` extra"


@dataclass(frozen=True)
class Compiled:
    """The result of compiling a pipeline.

    Attributes:
        artefacts: file name → content, for the forms that agree.
        facts: backend → ``largest_difference`` and ``rows`` of the comparison or, if the form was
            left out, ``left_out``: the reason.
    """

    artefacts: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)


class _LeftOutError(Exception):
    """The reason why a version has no such form of its model."""


def _export_onnx(
    pipeline: Pipeline, contract: Contract, spark: SparkSession
) -> tuple[bytes, Score]:
    content = export_onnx(pipeline, contract)
    return content, OnnxModel(content, BACKENDS["onnx"].artefact).score_frame


def _export_sql(pipeline: Pipeline, contract: Contract, spark: SparkSession) -> tuple[bytes, Score]:
    if has_own_graph(pipeline):
        raise _LeftOutError("this kind of model is exported to ONNX only")
    text = export_sql(pipeline, contract)
    if len(text) > MAX_SQL_CHARS:
        raise _LeftOutError(
            f"the expression has {len(text):,} characters, more than {MAX_SQL_CHARS:,}"
        )
    return text.encode(), lambda rows: score_expression(spark, text, rows)


Exporter = Callable[[Pipeline, Contract, SparkSession], tuple[bytes, Score]]

#: Backend → what makes its artefact of a fitted pipeline, and what scores with the artefact. The
#: backends that are missing here have a model of their own, or none that training makes.
EXPORTERS: dict[str, Exporter] = {"onnx": _export_onnx, "sql": _export_sql}


def compile_pipeline(
    pipeline: Pipeline,
    features: pd.DataFrame,
    *,
    contract: Contract,
    spark: SparkSession,
    seed: int,
) -> Compiled:
    """Export to each form that a backend scores with, and compare each with the pipeline.

    They are compared on the training data, on :data:`GENERATED_ROWS` synthetic records and on the
    edges of ``lib/training/compile/edges.py``.

    Args:
        pipeline: the fitted pipeline of ``build_sklearn_pipeline``.
        features: the features that it was fitted on.
        contract: the contract of the features.
        spark: the session that evaluates the expression.
        seed: the seed of the synthetic records.
    """

    def score(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        probabilities: npt.NDArray[np.float64] = pipeline.predict_proba(rows)[:, 1]
        return probabilities

    generated = draw_features(contract, GENERATED_ROWS, seed + 1)
    samples = {
        "the training data": features,
        "generated records": generated,
        "the edges": make_edges(score, contract, seed),
    }

    compiled = Compiled()
    reference = {name: score(rows) for name, rows in samples.items()}
    for kind in BACKENDS.values():
        if kind.name not in EXPORTERS:
            continue
        export = partial(EXPORTERS[kind.name], pipeline, contract, spark)
        try:
            content, facts = _verify(export, samples, reference)
        except _LeftOutError as reason:
            logger.warning("the version goes without %s: %s", kind.name, reason)
            compiled.facts[kind.name] = {"left_out": str(reason)}
        else:
            compiled.artefacts[kind.artefact] = content
            compiled.facts[kind.name] = facts
    return compiled


def _verify(
    export: Callable[[], tuple[bytes, Score]],
    samples: dict[str, pd.DataFrame],
    reference: dict[str, npt.NDArray[np.float64]],
) -> tuple[bytes, dict[str, Any]]:
    """Export one form and compare it with the pipeline.

    Raises:
        _LeftOutError: the form cannot be made, or gives other probabilities.
    """
    largest = 0.0
    try:
        content, score = export()
        for name, rows in samples.items():
            differences = np.abs(score(rows) - reference[name])
            worst = float(np.max(differences))
            if not worst <= MAX_DIFFERENCE:  # this is true for NaN too
                raise _LeftOutError(
                    f"found a difference of {worst:.2g} from scikit-learn on {name}, expected at"
                    f" most {MAX_DIFFERENCE:g}: {int(np.sum(~(differences <= MAX_DIFFERENCE)))} of"
                    f" {len(rows):,} rows differ by more"
                )
            largest = max(largest, worst)
    except ImportError as error:
        raise _LeftOutError(f"{error.name} is not installed ({_HINT})") from error
    except _LeftOutError:
        raise
    except Exception as error:  # converters raise many kinds of errors for unknown steps
        raise _LeftOutError(f"it cannot be exported: {name_error(error)}") from error
    return content, {"largest_difference": largest, "rows": sum(map(len, samples.values()))}
