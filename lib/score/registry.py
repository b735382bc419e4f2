"""The backends there are: one row for each, which says all that others need to know of it. Pure.

A row names the module of its backend. That is imported when the first model is built, so that
settings and messages can derive from the rows without the libraries of any backend.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from lib.record.contract import Contract
    from lib.score.base import ModelBackend, ModelPath


@dataclass(frozen=True)
class BackendOptions:
    """What a backend is built with, besides its model; each takes what concerns it.

    Attributes:
        fallback_path: of the model of the backend :data:`DEFAULT` that stands in; None for none.
        preprocessor_path: of the transformer that comes before a model of :data:`DEFAULT`.
        spark_session: for backends that score in Spark's JVM.
        provider: the hardware: "cpu" or "cuda".
        contract: of a model outside a store; None where it is not known.
    """

    fallback_path: ModelPath | None = None
    preprocessor_path: ModelPath | None = None
    spark_session: SparkSession | None = None
    provider: str = "cpu"
    contract: Contract | None = None


Build = Callable[["ModelPath", BackendOptions], "ModelBackend"]


@dataclass(frozen=True)
class BackendKind:
    """The row of one backend; docs/backends.md describes what it has to provide.

    Attributes:
        name: in settings, in ``load_model`` and in predictions.
        title: in messages for people.
        artefact: the file or folder of a stored version that it scores with.
        suffix: of its model's file outside a store; None where the model is a folder, which Spark
            reads itself, on the executors too.
        build: from the model's path and the options; loads nothing.
        is_native: whether Spark's JVM evaluates its models, without Python workers.
        workers_decode: of a native one, whether Python workers decode for it where the settings
            leave it open: that is faster, but needs Python on the executors.
        modules: that it cannot do without, as they are imported.
        auto_rank: its place among those that ``--backend auto`` tries, the lowest first, by
            measured rate; infinite for one that is never tried.
    """

    name: str
    title: str
    artefact: str
    suffix: str | None
    build: Build
    is_native: bool = False
    workers_decode: bool = False
    modules: tuple[str, ...] = ()
    auto_rank: float = inf

    @property
    def is_automatic(self) -> bool:
        """Whether ``--backend auto`` tries it."""
        return self.auto_rank < inf

    @property
    def is_installed(self) -> bool:
        """Whether the libraries that it cannot do without are here; imports nothing."""
        return all(importlib.util.find_spec(name) is not None for name in self.modules)


def import_backend(module: str, name: str) -> Build:
    """The ``build`` of a backend's class, whose module is imported when it is first called."""

    def build(path: ModelPath, options: BackendOptions) -> ModelBackend:
        backend: type[ModelBackend] = getattr(importlib.import_module(module), name)
        return backend.build(path, options)

    return build


#: Takes every model that has no other backend, and stands in for the others.
DEFAULT = "sklearn"

#: By name, in the order in which messages list them.
BACKENDS = {
    kind.name: kind
    for kind in (
        BackendKind(
            name=DEFAULT,
            title="scikit-learn",
            artefact="pipeline.joblib",
            suffix=".joblib",
            build=import_backend("lib.score.backends.sklearn.backend", "SklearnBackend"),
            modules=("joblib",),
            auto_rank=4,
        ),
        BackendKind(
            name="spark",
            title="Spark",
            artefact="spark_model",
            suffix=None,
            build=import_backend("lib.score.backends.spark.backend", "SparkBackend"),
            is_native=True,
            workers_decode=True,
            modules=("pyspark",),
            auto_rank=3,
        ),
        BackendKind(
            name="onnx",
            title="ONNX",
            artefact="pipeline.onnx",
            suffix=".onnx",
            build=import_backend("lib.score.backends.onnx.backend", "OnnxBackend"),
            modules=("onnxruntime",),
            auto_rank=1,
        ),
        BackendKind(
            name="sql",
            title="SQL",
            artefact="probability.sql",
            suffix=".sql",
            build=import_backend("lib.score.backends.sql.backend", "SqlBackend"),
            is_native=True,
            modules=("pyspark",),
            auto_rank=2,
        ),
    )
}


def register(kind: BackendKind) -> None:
    """Add a backend to those of this process.

    Raises:
        ValueError: there is one of that name.
    """
    if kind.name in BACKENDS:
        raise ValueError(f"there is a backend {kind.name!r} already")
    BACKENDS[kind.name] = kind


def rank_backends() -> list[BackendKind]:
    """All backends: those that ``--backend auto`` tries, in its order, and then the others."""
    return sorted(BACKENDS.values(), key=lambda kind: kind.auto_rank)


def find_by_suffix(path: Path) -> str | None:
    """The backend whose models' files end so; None for none."""
    suffixes = {kind.suffix: name for name, kind in BACKENDS.items()}
    return suffixes.get(path.suffix)


def find_for_folder() -> str:
    """The backend whose model is a folder."""
    return next(name for name, kind in BACKENDS.items() if kind.suffix is None)


def join_names() -> str:
    """The names of all backends, for a sentence: "'a' or 'b', 'c' or 'd'"."""
    quoted = [f"'{name}'" for name in BACKENDS]
    pairs = zip_longest(quoted[::2], quoted[1::2])
    return ", ".join(" or ".join(filter(None, pair)) for pair in pairs)
