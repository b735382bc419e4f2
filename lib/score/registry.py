"""The backends there are: what each is built of, and what it scores with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lib.score.backends.onnx.backend import OnnxBackend
from lib.score.backends.onnx.model import is_onnxruntime_installed
from lib.score.backends.sklearn.backend import SklearnBackend
from lib.score.backends.spark.backend import SparkBackend
from lib.score.backends.sql.backend import SqlBackend
from lib.score.base import ModelBackend, ModelPath
from lib.store.version import ONNX_ARTEFACT, SKLEARN_ARTEFACT, SPARK_ARTEFACT, SQL_ARTEFACT

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lib.record.contract import Contract


@dataclass(frozen=True)
class BackendOptions:
    """What a backend is built with, besides its model; each takes what concerns it.

    Attributes:
        fallback_path: of the scikit-learn model that stands in; None for none.
        preprocessor_path: of the transformer that comes before a scikit-learn model.
        spark_session: for backends that score in Spark's JVM.
        onnx_provider: "cpu" or "cuda".
        contract: of a model outside a store; None where it is not known.
    """

    fallback_path: ModelPath | None = None
    preprocessor_path: ModelPath | None = None
    spark_session: SparkSession | None = None
    onnx_provider: str = "cpu"
    contract: Contract | None = None


@dataclass(frozen=True)
class BackendKind:
    """One kind of backend.

    Attributes:
        build: from the model's path and the options; loads nothing.
        artefact: the file or folder of a stored version that it scores with.
        suffix: of its model's file outside a store; None where that is a folder.
        is_native: whether it scores in Spark's JVM, without Python workers.
        is_installed: whether the libraries that it cannot do without are here.
    """

    build: Callable[[ModelPath, BackendOptions], ModelBackend]
    artefact: str
    suffix: str | None
    is_native: bool
    is_installed: Callable[[], bool] = lambda: True


def _build_onnx(path: ModelPath, options: BackendOptions) -> OnnxBackend:
    return OnnxBackend(
        path,
        options.fallback_path,
        provider=options.onnx_provider,
        fallback_preprocessor_path=options.preprocessor_path,
        contract=options.contract,
    )


def _build_in_jvm(
    backend: type[SqlBackend] | type[SparkBackend], path: ModelPath, options: BackendOptions
) -> ModelBackend:
    return backend(
        path,
        options.fallback_path,
        options.spark_session,
        fallback_preprocessor_path=options.preprocessor_path,
        contract=options.contract,
    )


def _build_sklearn(path: ModelPath, options: BackendOptions) -> SklearnBackend:
    return SklearnBackend(path, options.preprocessor_path, contract=options.contract)


#: By name, in the order of measured rates, which is that of ``--backend auto``.
BACKENDS = {
    "onnx": BackendKind(
        _build_onnx, ONNX_ARTEFACT, ".onnx", is_native=False, is_installed=is_onnxruntime_installed
    ),
    "sql": BackendKind(partial(_build_in_jvm, SqlBackend), SQL_ARTEFACT, ".sql", is_native=True),
    "spark": BackendKind(
        partial(_build_in_jvm, SparkBackend), SPARK_ARTEFACT, None, is_native=True
    ),
    "sklearn": BackendKind(_build_sklearn, SKLEARN_ARTEFACT, ".joblib", is_native=False),
}
#: Takes every model that has no other backend, and stands in for the others.
DEFAULT = "sklearn"


def find_by_suffix(path: Path) -> str | None:
    """The backend whose models' files end so; None for none."""
    return next((name for name, kind in BACKENDS.items() if kind.suffix == path.suffix), None)
