"""Builds the model as a scikit-learn pipeline, from raw features to the probability.

It holds only classes of scikit-learn and of the standard library, so that the joblib file can be
loaded without this project.
"""

from __future__ import annotations

from operator import methodcaller
from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from lib.record.checks import BLANK_TEXT
from lib.record.contract import Contract
from lib.training.encoding import build_encoding
from lib.training.penalty import INVERSE_PENALTY

# The names of the steps behind the first one.
ENCODE, SCALE, CLASSIFY = "encode", "scale", "classify"
# The names of the parts of the encoding besides that of categories.
NUMBER, FILLED, MISSING = "number", "filled", "missing"
# Newton's method needs about ten steps to this tolerance; the data do not give more digits.
_TOLERANCE = 1e-10

Steps = list[tuple[str, Any]]


def build_sklearn_pipeline(contract: Contract, steps: Steps | None = None) -> Pipeline:
    """Build an unfitted pipeline that takes frames with the contract's features.

    Numbers may be numeric text, the contract gives blanks a meaning, and unseen categories count as
    none of the known ones. Text that is no number and infinity raise ValueError, and so does NaN if
    the field must not be missing.

    The first step, ``read``, only matters for raw text. Exporters that know no Python functions
    (skl2onnx, orbital) take ``pipeline[1:]``.

    Args:
        contract: the contract of the features.
        steps: the steps behind the encoding; those of :func:`build_logistic_steps` by default.
    """
    encoding = build_encoding(contract)
    known = OneHotEncoder(
        categories=[list(group.values) for group in encoding.indicators],
        handle_unknown="ignore",
        sparse_output=False,
    )
    parts: list[tuple[str, Any, list[str]]] = [
        ("known", known, [group.field.name for group in encoding.indicators]),
        (NUMBER, "passthrough", [field.name for field in encoding.numbers]),
    ]
    if encoding.nullable:
        nullable = [field.name for field in encoding.nullable]
        parts += [
            (FILLED, SimpleImputer(strategy="constant", fill_value=0.0), nullable),
            (MISSING, MissingIndicator(features="all"), nullable),
        ]
    return Pipeline(
        [
            ("read", _build_text_reader(contract)),
            (ENCODE, ColumnTransformer(parts)),
            *(build_logistic_steps() if steps is None else steps),
        ]
    )


def build_logistic_steps() -> Steps:
    """Build the unfitted steps of the logistic regression that Spark fits too."""
    return [
        # It is last, so that the penalty treats all columns alike; see penalty.py.
        (SCALE, StandardScaler()),
        (
            CLASSIFY,
            LogisticRegression(C=INVERSE_PENALTY, solver="newton-cholesky", tol=_TOLERANCE),
        ),
    ]


def _build_text_reader(contract: Contract) -> Pipeline:
    """Build the step that replaces blank text by the contract; columns of numbers pass it."""
    replacements = {
        # It is text like the strings around it: the scaler reads a column of numeric text.
        field.name: {rf"(?a)^{BLANK_TEXT}$": str(field.blank)}
        for field in contract.numeric
        if field.blank is not None
    }
    return Pipeline(
        [
            # Numbers in a column of objects become a column of numbers, which the next step skips.
            ("infer", FunctionTransformer(methodcaller("infer_objects"))),
            ("blank", FunctionTransformer(methodcaller("replace", replacements, regex=True))),
        ]
    )
