"""Compares the signature that MLflow keeps with a model with the contract of the records."""

from __future__ import annotations

from collections.abc import Iterator

from lib.errors import ModelMismatchError
from lib.record.contract import Contract, Field, Kind
from lib.score.mlflow_folder import MlflowModel

_TEXTS = ("string", "str", "object")
_FRACTIONS = ("double", "float", "float64", "float32")
_INTEGERS = ("long", "integer", "int64", "int32")
_BOOLEANS = ("boolean", "bool")
# Kind → the types that its values may have, in MLflow's words and NumPy's, the usual one first. A
# model takes an integer where it was fitted with fractions, but not the other way round.
_TYPES = {
    Kind.CATEGORY: _TEXTS,
    Kind.TEXT: _TEXTS,
    Kind.NUMBER: _FRACTIONS,
    Kind.INTEGER: (*_INTEGERS, *_FRACTIONS),
    Kind.BOOLEAN: (*_BOOLEANS, *_INTEGERS, *_FRACTIONS),
}


def check_signature(model: MlflowModel, contract: Contract, name: str) -> None:
    """Make sure that the contract has each column that a signature requires, with its type.

    Args:
        model: a model in a folder of MLflow's; one without a signature passes.
        contract: the contract of the records.
        name: the name of the model, for messages.

    Raises:
        ModelMismatchError: some columns differ; the error names them all.
    """
    fields = {it.name: it for it in contract.features}
    differences = [
        difference
        for column, kind in model.inputs
        for difference in _compare(column, kind, fields.get(column))
    ]
    if differences:
        raise ModelMismatchError(
            f"{name}: its signature is not that of contract {contract.name}: "
            + "; ".join(differences),
            hint="train it on the columns of the contract, or name the contract that it was trained"
            " for with --contract",
        )


def _compare(column: str, kind: str, field: Field | None) -> Iterator[str]:
    if field is None:
        yield f"found the column {column} ({kind}), expected none of that name"
    elif kind not in _TYPES[field.kind]:
        expected = _TYPES[field.kind][0]
        yield f"found the column {column} ({kind}), expected {expected} for {field.kind.value}"
