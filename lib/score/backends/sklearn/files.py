"""Opens the files in which Python libraries save classifiers."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import joblib

from lib.errors import ModelError, ModelMismatchError, name_error

# The types that a skops file may hold besides those that skops itself trusts, which run no code of
# the file when they are opened.
_TRUSTED = (
    "collections.OrderedDict",
    "lightgbm.basic.Booster",
    "lightgbm.sklearn.LGBMClassifier",
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
)


def open_file(path: PurePath, content: bytes) -> Any:
    """Open a model by the suffix of its file; one of another suffix is a pickle, maybe joblib's.

    Args:
        path: the path of the file, for the suffix and for messages.
        content: the bytes of the file. A pickle can run any code.

    Raises:
        ModelError: the bytes hold no such model, or its library is missing.
    """
    open_model = _OPENERS.get(path.suffix, _open_pickle)
    try:
        return open_model(content)
    except ModelError as error:
        raise type(error)(f"{path}: {error.message}", hint=error.hint) from error
    except Exception as error:  # opening runs code of any library
        verb = "unpickled" if open_model is _open_pickle else "opened"
        raise ModelError(
            f"{path}: cannot be {verb}: {name_error(error)}",
            hint="install the libraries that it was saved with, or save it again",
        ) from error


def is_pickle(path: PurePath) -> bool:
    """Tell whether :func:`open_file` unpickles a file, which can run any code."""
    return path.suffix not in _OPENERS


def _open_pickle(content: bytes) -> Any:
    try:
        return joblib.load(io.BytesIO(content))
    except ModuleNotFoundError as error:
        raise ModelError(
            f"cannot be unpickled: ModuleNotFoundError: {error}",
            hint=f"install the package of {error.name}, here and where records are scored",
        ) from error
    except (pickle.UnpicklingError, AttributeError) as error:
        raise ModelError(
            f"cannot be unpickled: {name_error(error)}",
            hint="install the libraries that it was saved with, or save it again; a class or"
            " function of the program that saved it must lie in a module that can be imported",
        ) from error


def _open_skops(content: bytes) -> Any:
    import skops.io  # type: ignore[import-not-found]  # an optional library

    unknown = [it for it in skops.io.get_untrusted_types(data=content) if it not in _TRUSTED]
    if unknown:
        raise ModelMismatchError(
            f"found the types {', '.join(unknown)}, expected only those that skops trusts",
            hint="save the model without functions and classes of your own, or with joblib",
        )
    return skops.io.loads(content, trusted=list(_TRUSTED))


def _open_xgboost(content: bytes) -> Any:
    from xgboost import XGBClassifier  # type: ignore[import-not-found]  # an optional library

    model = XGBClassifier()
    model.load_model(bytearray(content))
    return model


def _open_catboost(content: bytes) -> Any:
    from catboost import CatBoostClassifier  # type: ignore[import-not-found]  # also optional

    return CatBoostClassifier().load_model(blob=content)


#: Suffix → what opens the bytes of such a file. None of these runs code of the file.
_OPENERS: dict[str, Callable[[bytes], Any]] = {
    ".skops": _open_skops,
    ".ubj": _open_xgboost,
    ".cb": _open_catboost,
    ".cbm": _open_catboost,
}
