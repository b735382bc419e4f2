"""Finds which of a model's two classes the contract's positive label means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lib.errors import ModelMismatchError
from lib.record.contract import Contract

# The negative and the positive label if the model's contract is not known.
_DEFAULT_LABELS = ("No", "Yes")
# The classes of a model whose labels are coded as numbers or booleans.
_CODES = {"0", "1"}


def list_labels(contract: Contract | None) -> tuple[str, str]:
    """Return the negative and the positive label of a contract, which may not be known."""
    if contract is None:
        return _DEFAULT_LABELS
    return contract.negative_label, contract.positive_label


def find_positive(
    classes: Sequence[Any] | None,
    contract: Contract | None,
    told: str | None,
    name: str,
) -> int:
    """Find the position of the positive class among the classes of a model.

    The contract's two labels, 0 and 1, and false and true tell it. In all other cases somebody has
    to say it, because a guess may give the probability of the other class.

    Args:
        classes: the classes in the order of the model's probabilities; None if it has none.
        contract: the contract, with both labels; None if it is not known.
        told: the class that the positive label means; None if nobody said so. For a model without
            classes it is the position of its probability, "0" or "1".
        name: the name of model and backend, for messages.

    Returns:
        0 or 1.

    Raises:
        ModelMismatchError: the model has not two classes, or none is known to be the positive one.
    """
    labels = list_labels(contract)
    if classes is None:
        return _find_position(told, labels[1], name)
    found = [name_class(it) for it in classes]
    if len(found) != 2:
        raise ModelMismatchError(
            f"{name}: found a model of {len(found)} classes ({_join(found)}), expected two",
            hint="name a model that tells two classes apart",
        )
    if told is not None:
        if told not in found:
            raise ModelMismatchError(
                f"{name}: found the classes {_join(found)}, expected one named {told!r}",
                hint=f"name the class that means {labels[1]!r} by --positive-class",
            )
        return found.index(told)
    if set(found) == set(labels):
        return found.index(labels[1])
    codes = [_name_code(it) for it in found]
    if set(codes) == _CODES and not set(found) & set(labels):
        return codes.index("1")
    raise ModelMismatchError(
        f"{name}: found the classes {_join(found)}, expected the labels {_join(labels)} or 0 and 1",
        hint=f"name the class that means {labels[1]!r}: --positive-class {found[1]}, or"
        f" load_model(positive_class={found[1]!r})",
    )


def list_classes(model: Any) -> list[Any] | None:
    """List the classes of a model of scikit-learn's form; None if it does not tell them."""
    classes = getattr(model, "classes_", None)
    # Some objects have a value for any attribute.
    return list(classes) if isinstance(classes, np.ndarray | list | tuple) else None


def name_class(value: Any) -> str:
    """Return the name of a class as a user writes it: ``1`` for 1, 1.0 and "1"."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:g}"
    return str(value)


def _name_code(name: str) -> str:
    return {"False": "0", "false": "0", "True": "1", "true": "1"}.get(name, name)


def _find_position(told: str | None, positive: str, name: str) -> int:
    if told in _CODES:
        return int(told)
    found = "" if told is None else f" and --positive-class {told}"
    raise ModelMismatchError(
        f"{name}: found a model that does not name its classes{found}, expected the position of the"
        f" probability of {positive!r}",
        hint="name it: --positive-class 1 for the second, 0 for the first, or load_model("
        "positive_class='1')",
    )


def _join(names: Sequence[str]) -> str:
    return " and ".join(repr(it) for it in names)
