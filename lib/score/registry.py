"""The table of backends: a row for each, with everything that others need to know of it. Pure.

A row names the module of its backend, which is imported when the first model is built. So settings
and messages derive from the rows without the libraries of any backend.
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
    from pathlib import Path, PurePath

    from pyspark.sql import SparkSession

    from lib.record.contract import Contract
    from lib.score.base import ModelBackend, ModelPath


@dataclass(frozen=True)
class BackendOptions:
    """The options of backends besides the model; each takes those that it needs.

    Attributes:
        fallback_path: the path of the fallback, a model of :data:`DEFAULT`; None for none.
        preprocessor_path: the path of a transformer that comes before a model of :data:`DEFAULT`.
        spark_session: the session of backends that score in Spark's JVM.
        provider: the hardware: "cpu" or "cuda".
        contract: the contract of a model outside a store; None if it is not known.
        positive_class: the model's name of the class that the positive label means; None if the
            model's classes tell it.
        columns: the columns of a model that takes them by position; None if it knows their names.
    """

    fallback_path: ModelPath | None = None
    preprocessor_path: ModelPath | None = None
    spark_session: SparkSession | None = None
    provider: str = "cpu"
    contract: Contract | None = None
    positive_class: str | None = None
    columns: tuple[str, ...] | None = None


Build = Callable[["ModelPath", BackendOptions], "ModelBackend"]


@dataclass(frozen=True)
class BackendKind:
    """Describes one backend; docs/backends.md says what a backend has to provide.

    Attributes:
        name: the name in settings, in ``load_model`` and in predictions.
        title: the name in messages for people.
        artefact: the file or folder of a stored version that it scores with.
        suffix: the suffix of a model's file outside a store; None if the model is a folder, which
            Spark reads itself, on the executors too.
        build: a function that builds the backend from path and options, and loads nothing.
        is_native: whether Spark's JVM evaluates its models, without Python workers.
        workers_decode: whether Python workers decode by default for a native backend: that is
            faster, but needs Python on the executors.
        modules: the names of the modules that the backend needs.
        closed_suffixes: the suffixes of files that cannot run code of their makers, neither when
            they are loaded nor when they score.
        auto_rank: the place among the backends that ``--backend auto`` tries, the lowest first, by
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
    closed_suffixes: tuple[str, ...] = ()
    auto_rank: float = inf

    @property
    def is_automatic(self) -> bool:
        """Whether ``--backend auto`` tries the backend."""
        return self.auto_rank < inf

    def may_run_code(self, path: PurePath) -> bool:
        """Tell whether a model's file or folder can run any code of its maker."""
        return path.suffix not in self.closed_suffixes

    @property
    def is_installed(self) -> bool:
        """Whether the libraries that the backend needs are installed; nothing is imported."""
        return all(importlib.util.find_spec(name) is not None for name in self.modules)


def import_backend(module: str, name: str) -> Build:
    """Return the ``build`` of a backend's class, which imports its module at the first call."""

    def build(path: ModelPath, options: BackendOptions) -> ModelBackend:
        backend: type[ModelBackend] = getattr(importlib.import_module(module), name)
        return backend.build(path, options)

    return build


#: It takes every model without another backend, and is the fallback of the others.
DEFAULT = "sklearn"

#: Name → backend, in the order in which messages list them.
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
            closed_suffixes=(".skops", ".ubj", ".cb", ".cbm"),
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
            closed_suffixes=(".onnx",),
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
        ValueError: there is a backend of that name.
    """
    if kind.name in BACKENDS:
        raise ValueError(f"there is a backend {kind.name!r} already")
    BACKENDS[kind.name] = kind


def rank_backends() -> list[BackendKind]:
    """List all backends: those that ``--backend auto`` tries, in its order, then the others."""
    return sorted(BACKENDS.values(), key=lambda kind: kind.auto_rank)


def find_by_suffix(path: Path) -> str | None:
    """Find the backend whose models' files have this suffix; None if there is none."""
    suffixes = {kind.suffix: name for name, kind in BACKENDS.items()}
    return suffixes.get(path.suffix)


def find_for_folder() -> str:
    """Find the backend whose model is a folder."""
    return next(name for name, kind in BACKENDS.items() if kind.suffix is None)


def join_names() -> str:
    """Join the names of all backends for a sentence: "'a' or 'b', 'c' or 'd'"."""
    quoted = [f"'{name}'" for name in BACKENDS]
    pairs = zip_longest(quoted[::2], quoted[1::2])
    return ", ".join(" or ".join(filter(None, pair)) for pair in pairs)
