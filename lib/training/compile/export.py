"""Exports the trained scikit-learn pipeline to ONNX and to one Spark SQL expression.

Both are exported from the pipeline without its first step, which only reads raw text, and take the
contract's features from ``lib/decode/engines/python.py``. This needs the ``compiled`` extra.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from lib.record.contract import Contract, Field, Kind
from lib.record.types import is_float, is_text
from lib.training.compile.graph import OPSETS, build_graph, has_own_graph, serialize
from lib.training.sklearn_pipeline import FILLED, MISSING

_SQL_DIALECT = "databricks"  # sqlglot's "spark" cannot do this translation
_PROBABILITY = "output_probability.1"
# The name of a column of 1 and 0 beside a number: whether it is missing.
_MISSING_SUFFIX = "__is_missing"
# Orbital encodes text only, so a number with indicators has this second name in the statement.
_TEXT_PREFIX = "text_of_"


def export_onnx(pipeline: Pipeline, contract: Contract) -> bytes:
    """Export the pipeline as an ONNX graph; see :mod:`lib.score.backends.onnx.model`.

    The inputs of categories are their positions in the contract, so that no text enters the graph.

    Raises:
        Exception: the error of skl2onnx for a step that it cannot convert.
    """
    if has_own_graph(pipeline):
        return build_graph(pipeline, contract)
    from skl2onnx import to_onnx  # type: ignore[import-untyped]  # it ships no types
    from skl2onnx.common.data_types import (  # type: ignore[import-untyped]
        FloatTensorType,
        Int64TensorType,
    )

    categories = {field.name: field.allowed for field in contract.categorical}
    inner = copy.deepcopy(pipeline[1:])
    nullable = _fill_outside(inner)
    encoder, columns = _find_encoder(inner)
    encoder.categories_ = [
        _positions(values, categories[name]) if name in categories else np.asarray(values, np.int64)
        for name, values in zip(columns, encoder.categories_, strict=True)
    ]
    types = {
        field.name: FloatTensorType if is_float(field) else Int64TensorType
        for field in contract.features
        if field.kind is not Kind.TEXT
    }
    types |= {name + _MISSING_SUFFIX: FloatTensorType for name in nullable}
    # Inputs have other names than columns, because graphs do not take every name of a column.
    names = {column: f"x{position}" for position, column in enumerate(types)}
    _rename_columns(inner, names)
    inputs = [(names[column], kind([None, 1])) for column, kind in types.items()]
    model = to_onnx(inner, initial_types=inputs, options={"zipmap": False}, target_opset=OPSETS)
    return serialize(
        model,
        contract,
        columns={names[name]: name for name in types if name in contract.feature_names},
        missing={names[name + _MISSING_SUFFIX]: name for name in nullable},
    )


def export_sql(pipeline: Pipeline, contract: Contract) -> str:
    """Export the probability of class 1 as one Spark SQL expression over the features.

    Raises:
        Exception: the error of orbital or sqlglot for a step that they cannot translate.
    """
    import orbital  # type: ignore[import-untyped]  # it ships no types
    import orbital.types  # type: ignore[import-untyped]

    inner = copy.deepcopy(pipeline[1:])
    encoder, columns = _find_encoder(inner)
    numbers = {field.name for field in contract.numeric}
    texts = [_TEXT_PREFIX + name if name in numbers else name for name in columns]
    _rename_encoded(inner, texts)
    encoder.categories_ = [
        np.array([str(v) for v in group], object) for group in encoder.categories_
    ]
    nullable = _fill_outside(inner)
    features = {field.name: _orbital_type(field) for field in contract.features}
    features |= {name + _MISSING_SUFFIX: orbital.types.DoubleColumnType() for name in nullable}
    features |= {name: orbital.types.StringColumnType() for name in texts if name not in features}
    statement = orbital.export_sql(
        "records",
        orbital.parse_pipeline(inner, features=features),
        dialect=_SQL_DIALECT,
        projection=orbital.ResultsProjection([]),
    )
    return _as_expression(statement, nullable)


def _fill_outside(inner: Pipeline) -> list[str]:
    """Replace the steps that fill missing numbers by filled numbers and indicators as inputs.

    Neither exporter knows these steps, so the backend does them before it scores.

    Returns:
        The columns that may be missing.
    """
    parts = inner.named_steps["encode"].transformers_
    nullable: list[str] = []
    for position, (name, _, columns) in enumerate(parts):
        if name == FILLED:
            nullable = list(columns)
            parts[position] = (name, "passthrough", nullable)
        elif name == MISSING:
            parts[position] = (name, "passthrough", [it + _MISSING_SUFFIX for it in columns])
    return nullable


def _find_encoder(inner: Pipeline) -> tuple[Any, list[str]]:
    """Find the fitted one-hot encoder and its columns."""
    transformer, columns = inner.named_steps["encode"].transformers_[0][1:]
    return transformer, list(columns)


def _rename_columns(inner: Pipeline, names: Mapping[str, str]) -> None:
    encode = inner.named_steps["encode"]
    encode.transformers_ = [
        (part, transformer, [names[column] for column in columns])
        for part, transformer, columns in encode.transformers_
    ]


def _rename_encoded(inner: Pipeline, columns: list[str]) -> None:
    transformers = inner.named_steps["encode"].transformers_
    name, transformer, _ = transformers[0]
    transformers[0] = (name, transformer, columns)


def _positions(values: Any, allowed: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([allowed.index(value) for value in values], np.int64)


def _orbital_type(field: Field) -> Any:
    import orbital.types

    if is_text(field):
        return orbital.types.StringColumnType()
    return orbital.types.DoubleColumnType() if is_float(field) else orbital.types.Int64ColumnType()


def _as_expression(statement: str, nullable: Sequence[str]) -> str:
    """Fold the chain of SELECTs that orbital writes into the expression of one column."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.optimizer.simplify import simplify

    from lib.training.compile.lookups import fold_lookups

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
        # The SELECT before it defines all columns that a SELECT uses.
        known |= {
            projection.alias: projection.this.transform(resolve)
            for projection in select.expressions
            if isinstance(projection, exp.Alias) and not _is_itself(projection)
        }
    folded = known[_PROBABILITY].transform(_compare_numbers)
    folded = folded.transform(_find_missing, frozenset(nullable))
    simple = fold_lookups(simplify(folded, dialect=_SQL_DIALECT))
    text: str = simple.sql(dialect=_SQL_DIALECT)
    return text


def _find_missing(node: Any, nullable: frozenset[str]) -> Any:
    """Build expressions for a number with its missing values filled, and whether it is missing."""
    from sqlglot import exp, parse_one

    if not isinstance(node, exp.Column):
        return node
    name = node.name.removesuffix(_MISSING_SUFFIX)
    if name not in nullable:
        return node
    column = exp.column(name, quoted=True).sql(dialect=_SQL_DIALECT)
    number = f"COALESCE(CAST({column} AS DOUBLE), DOUBLE('NaN'))"
    text = f"NANVL({number}, 0D)" if name == node.name else f"IF(ISNAN({number}), 1D, 0D)"
    return parse_one(text, dialect=_SQL_DIALECT)


def _is_itself(projection: Any) -> bool:
    return bool(projection.this.name == projection.alias)


def _compare_numbers(node: Any) -> Any:
    """Turn comparisons like ``text_of_tenure = '1'`` into ``tenure = 1``."""
    from sqlglot import exp

    if isinstance(node, exp.EQ) and node.this.name.startswith(_TEXT_PREFIX):
        column = exp.column(node.this.name.removeprefix(_TEXT_PREFIX), quoted=True)
        return exp.EQ(this=column, expression=exp.Literal.number(node.expression.name))
    return node
