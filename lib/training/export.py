"""The trained scikit-learn pipeline in other forms: ONNX, and one Spark SQL expression.

Both are exported from the pipeline without its first step, which only reads raw text, and take the
contract's features as ``lib/codec/decode.py`` gives them. Needs the ``compiled`` extra.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from lib.contract import Contract, Field, Kind
from lib.scoring.onnx_model import CATEGORIES_KEY

# The newest that skl2onnx 1.20 and onnxruntime 1.22 both know.
_OPSETS = {"": 18, "ai.onnx.ml": 3}
_SQL_DIALECT = "databricks"  # of sqlglot; its "spark" lacks what the translation needs
_PROBABILITY = "output_probability.1"
# Orbital encodes text only: a number with indicators stands in the statement under this name too.
_TEXT_PREFIX = "text_of_"


def export_onnx(pipeline: Pipeline, contract: Contract) -> bytes:
    """The pipeline as an ONNX graph; see :mod:`lib.scoring.onnx_model` for its inputs.

    Categories come in as their positions in the contract, so that no text enters the graph.

    Raises:
        Exception: whatever skl2onnx raises on what it cannot convert.
    """
    from skl2onnx import to_onnx  # type: ignore[import-untyped]  # ships no types
    from skl2onnx.common.data_types import (  # type: ignore[import-untyped]
        FloatTensorType,
        Int64TensorType,
    )

    categories = {field.name: field.allowed for field in contract.categorical}
    inner = copy.deepcopy(pipeline[1:])
    encoder, columns = _find_encoder(inner)
    encoder.categories_ = [
        _positions(values, categories[name]) if name in categories else np.asarray(values, np.int64)
        for name, values in zip(columns, encoder.categories_, strict=True)
    ]
    inputs = [
        (field.name, (FloatTensorType if field.kind is Kind.NUMBER else Int64TensorType)([None, 1]))
        for field in contract.features
    ]
    model = to_onnx(inner, initial_types=inputs, options={"zipmap": False}, target_opset=_OPSETS)
    entry = model.metadata_props.add()
    entry.key, entry.value = CATEGORIES_KEY, json.dumps(categories)
    content: bytes = model.SerializeToString()
    return content


def export_sql(pipeline: Pipeline, contract: Contract) -> str:
    """The probability of class 1 as one Spark SQL expression over the contract's features.

    Raises:
        Exception: whatever orbital and sqlglot raise on what they cannot translate.
    """
    import orbital  # type: ignore[import-untyped]  # ships no types
    import orbital.types  # type: ignore[import-untyped]

    inner = copy.deepcopy(pipeline[1:])
    encoder, columns = _find_encoder(inner)
    numbers = {field.name for field in contract.numeric}
    texts = [_TEXT_PREFIX + name if name in numbers else name for name in columns]
    _rename_encoded(inner, texts)
    encoder.categories_ = [
        np.array([str(v) for v in group], object) for group in encoder.categories_
    ]
    features = {field.name: _orbital_type(field) for field in contract.features}
    features |= {name: orbital.types.StringColumnType() for name in texts if name not in features}
    statement = orbital.export_sql(
        "records",
        orbital.parse_pipeline(inner, features=features),
        dialect=_SQL_DIALECT,
        projection=orbital.ResultsProjection([]),
    )
    return _as_expression(statement)


def _find_encoder(inner: Pipeline) -> tuple[Any, list[str]]:
    """The fitted one-hot encoder and its columns."""
    transformer, columns = inner.named_steps["encode"].transformers_[0][1:]
    return transformer, list(columns)


def _rename_encoded(inner: Pipeline, columns: list[str]) -> None:
    transformers = inner.named_steps["encode"].transformers_
    name, transformer, _ = transformers[0]
    transformers[0] = (name, transformer, columns)


def _positions(values: Any, allowed: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([allowed.index(value) for value in values], np.int64)


def _orbital_type(field: Field) -> Any:
    import orbital.types

    kinds = {
        Kind.INTEGER: orbital.types.Int64ColumnType,
        Kind.NUMBER: orbital.types.DoubleColumnType,
    }
    return kinds.get(field.kind, orbital.types.StringColumnType)()


def _as_expression(statement: str) -> str:
    """The chain of SELECTs that orbital writes, folded into the expression of one column."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.optimizer.simplify import simplify

    from lib.training.lookups import fold_lookups

    known: dict[str, exp.Expression] = {}

    def resolve(node: exp.Expression) -> exp.Expression:
        if not isinstance(node, exp.Column):
            return node
        if node.name in known:
            return exp.paren(known[node.name].copy())
        return exp.column(node.name, quoted=True)

    query = sqlglot.parse_one(statement, dialect=_SQL_DIALECT)
    selects = [cte.this for cte in query.find_all(exp.CTE)]
    for select in [*selects, query]:
        # All of one SELECT are resolved by the one before it.
        known |= {
            projection.alias: projection.this.transform(resolve)
            for projection in select.expressions
            if isinstance(projection, exp.Alias) and not _is_itself(projection)
        }
    folded = known[_PROBABILITY].transform(_compare_numbers)
    simple = fold_lookups(simplify(folded, dialect=_SQL_DIALECT))
    text: str = simple.sql(dialect=_SQL_DIALECT)
    return text


def _is_itself(projection: Any) -> bool:
    return bool(projection.this.name == projection.alias)


def _compare_numbers(node: Any) -> Any:
    """``text_of_tenure = '1'`` → ``tenure = 1``."""
    from sqlglot import exp

    if isinstance(node, exp.EQ) and node.this.name.startswith(_TEXT_PREFIX):
        column = exp.column(node.this.name.removeprefix(_TEXT_PREFIX), quoted=True)
        return exp.EQ(this=column, expression=exp.Literal.number(node.expression.name))
    return node
