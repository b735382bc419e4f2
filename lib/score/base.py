"""Holds what all backends have in common: model, fallback, threshold and labels.

A backend takes any model, and any columns that the model takes. From the model's contract it takes
the labels, the rules for numbers (see :mod:`lib.score.features`), and the names of the features if
the model does not list its columns. The stream checks whole records; a backend does not.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from lib.errors import ModelMismatchError, NoProbabilityError, ScoringError
from lib.record.prediction import are_positive
from lib.score.admission.classes import find_positive, list_labels
from lib.score.artefact import Artefact, find_file
from lib.score.fallback import NotUsableError, build_fallback, load_fallback
from lib.score.features import FeatureReader, Record, build_features
from lib.score.registry import BACKENDS, DEFAULT, BackendOptions
from lib.score.scorer import (
    DEFAULT_THRESHOLD,
    PROBABILITY_COLUMN,
    BatchScorer,
    ModelScorer,
    Probabilities,
)
from lib.score.workers.halves import raise_row_error
from lib.store import ModelVersion, read_version_contract

if TYPE_CHECKING:  # backends work without PySpark
    from pyspark.sql import DataFrame, SparkSession

    from lib.record.contract import Contract

ModelPath = str | os.PathLike[str]
Predictions = npt.NDArray[np.str_]


class ModelBackend(ABC):
    """Offers one interface to models of any kind. Constructing it reads nothing; :meth:`load` does.

    :meth:`load` decides once what scores: the model, or the scikit-learn model that stands in if
    the model cannot be used. That is so if a library is missing, the path does not exist, or the
    model does not load; a warning says which. A stored version whose files are not those that were
    saved is refused instead, because its other artefacts cannot be trusted either.

    A new backend defines :attr:`backend_type`, :meth:`open_model` and :meth:`wrap_model`; see
    docs/backends.md.

    Attributes:
        backend_type: the name of its row in :data:`lib.score.registry.BACKENDS`.
        model_path: the path that was given, or a reference into the store ``models``.
        threshold: the probability in [0, 1] from which the prediction is the positive label: that
            of the stored version, else the model's own, else 0.5. It is compared with
            probabilities of 6 decimals.
        version: the stored version that is loaded; None for a model outside a store.
        contract: the contract of the model's records: that of the version; for a model outside a
            store the one that was given, else None.
        positive_class: the model's name of the class that the positive label means: that of the
            version, else the one that was given; None if the model's classes tell it.
        given_columns: the columns of a model that takes them by position: those of the version,
            else those that were given; None if the model knows their names.
        guesses_class: whether nobody has said which class is the positive one, neither the model
            nor a caller, and its second one counts.
        fallback_path: the path of a joblib file or a version; None for no fallback.
        fallback_preprocessor_path: the path of the fallback's transformer; None for none.
        fallback_backend: the loaded fallback while it is in use, else None.
    """

    backend_type: ClassVar[str]

    def __init__(
        self,
        model_path: ModelPath,
        fallback_path: ModelPath | None = None,
        *,
        fallback_preprocessor_path: ModelPath | None = None,
        contract: Contract | None = None,
    ) -> None:
        self.model_path = model_path
        self.contract = contract
        self.positive_class: str | None = None
        self.given_columns: tuple[str, ...] | None = None
        self.fallback_path = fallback_path
        self.fallback_preprocessor_path = fallback_preprocessor_path
        self.fallback_backend: ModelBackend | None = None
        self.threshold = DEFAULT_THRESHOLD
        self.version: ModelVersion | None = None
        self._scorer: ModelScorer | None = None
        self._is_told_to_fall_back = False
        self._is_by_hand = False
        self._reader: FeatureReader | None = None
        self.guesses_class = False

    @classmethod
    def build(cls, model_path: ModelPath, options: BackendOptions) -> Self:
        """Make a backend with the options that concern it. It loads nothing."""
        backend = cls(
            model_path,
            options.fallback_path,
            fallback_preprocessor_path=options.preprocessor_path,
            contract=options.contract,
        )
        return backend.with_facts(options)

    def with_facts(self, options: BackendOptions) -> Self:
        """Note what the options say of a model that does not tell it itself."""
        self.positive_class, self.given_columns = options.positive_class, options.columns
        return self

    @abstractmethod
    def open_model(self) -> tuple[Any, Artefact]:
        """Open the model, and return it and the place where it was found.

        A backend that does not find its file by :meth:`find_file` calls :meth:`take_facts` itself.

        Raises:
            NotUsableError: the fallback has to stand in.
            ModelCorruptError: a stored version is not as it was saved.
        """

    @abstractmethod
    def wrap_model(self, model: Any, name: str) -> ModelScorer:
        """Return what scores with a model.

        Args:
            model: a model of :meth:`open_model`, or one that a caller has set by hand.
            name: the name of model and backend.

        Raises:
            ModelMismatchError: the model has not two classes, or none of them is known to be the
                positive one; see :meth:`find_positive`.
        """

    def load(self) -> Any:
        """Load the model, or the fallback, and return what was loaded.

        Raises:
            ValueError: the model cannot be used and there is no fallback; the message says why.
            ModelCorruptError: a stored version is not as it was saved.
            FileNotFoundError: the model, or the fallback, does not exist.
            ModelError: the fallback cannot be used.
        """
        self.fallback_backend = None
        self._is_told_to_fall_back = self._is_by_hand = False
        try:
            model, artefact = self.open_model()
        except NotUsableError as cause:
            fallback = load_fallback(self, cause)
            self.fallback_backend = fallback
            self.guesses_class = fallback.guesses_class
            self._adopt(fallback._scorer, fallback.version, fallback.contract)
        else:
            scorer = self.wrap_model(model, f"{artefact.label}/{self.backend_type}")
            self._adopt(scorer, artefact.version, self.contract)
        return self.model

    def take_facts(self, artefact: Artefact) -> None:
        """Take from a stored version what its model does not tell, before the model is opened.

        Raises:
            ModelMismatchError: something else was given.
        """
        version = artefact.version
        if version is None:
            return
        metadata = version.metadata
        recorded = None if metadata.columns is None else tuple(metadata.columns)
        for flag, given, found in (
            ("--positive-class", self.positive_class, metadata.positive_class),
            ("--columns", self.given_columns, recorded),
        ):
            if given not in (None, found):
                raise ModelMismatchError(
                    f"{version.reference}: found {flag} {given}, expected {found}, as the version"
                    " has recorded",
                    hint=f"leave {flag} out: it is for models outside a store",
                )
        self.contract = read_version_contract(version)
        self.positive_class, self.given_columns = metadata.positive_class, recorded

    def find_positive(
        self, classes: Sequence[Any] | None, name: str, *, guesses: bool = False
    ) -> int:
        """Find the position of the positive class, for :meth:`wrap_model`.

        Args:
            classes: the classes of the model in its order; None if it has none.
            name: the name of model and backend.
            guesses: whether the second counts for a model of a file that names no classes. It does
                for a model that a caller has set by hand, and where there is no contract. A job
                takes no model whose class is guessed.

        Raises:
            ModelMismatchError: the position is not known; see :mod:`lib.score.admission.classes`.
        """
        guesses = guesses or self._is_by_hand or self.contract is None
        self.guesses_class = guesses and classes is None and self.positive_class is None
        if self.guesses_class:
            return 1
        return find_positive(classes, self.contract, self.positive_class, name)

    @property
    def model(self) -> Any:
        """The model that scores, or None. Setting it makes the backend use that model as it is.

        A model set by hand belongs to no version, whatever was loaded.
        """
        return None if self._scorer is None else self._scorer.model

    @model.setter
    def model(self, model: Any) -> None:
        self._is_by_hand = True
        self.fallback_backend = build_fallback(self) if self._is_told_to_fall_back else None
        if self.fallback_backend is not None:
            self.fallback_backend.model = model
            scorer = self.fallback_backend._scorer
        elif model is None:
            scorer = None
        else:
            scorer = self.wrap_model(model, f"{type(model).__name__}/{self.backend_type}")
        self._adopt(scorer, None, self.contract)

    def _adopt(
        self, scorer: ModelScorer | None, version: ModelVersion | None, contract: Contract | None
    ) -> None:
        """Use a scorer and its facts from now on."""
        self._scorer = scorer
        self.version = version
        self.contract = contract
        self._reader = None if contract is None else FeatureReader(contract)
        own = DEFAULT_THRESHOLD if scorer is None else scorer.threshold
        self.threshold = version.metadata.threshold if version else own

    @property
    def using_fallback(self) -> bool:
        """Whether the fallback scores.

        Setting it to True makes the backend treat the model that it has, or that is set next, as a
        scikit-learn model; setting it to False, as a model of its own kind.
        """
        return self.fallback_backend is not None

    @using_fallback.setter
    def using_fallback(self, value: bool) -> None:
        self._is_told_to_fall_back = value
        if value != self.using_fallback:
            self.model = self.model

    @property
    def kind(self) -> str:
        """The backend's name in messages."""
        return BACKENDS[self.backend_type].title

    @property
    def model_type(self) -> str | None:
        """The name of the model's class; None before loading."""
        return None if self.model is None else type(self.model).__name__

    @property
    def scored_by(self) -> str:
        """The name of model and backend that really score, like ``model@3/sklearn``.

        A model outside a store is named by its file's stem, one that was set by hand by its class.

        Raises:
            ValueError: no model is loaded.
        """
        return self._require_scorer().name

    @property
    def is_native(self) -> bool:
        """Whether Spark's JVM evaluates the model, without Python workers."""
        return self._scorer is not None and self._scorer.is_native

    def describe(self) -> dict[str, Any]:
        """Return facts about the backend; see ``get_backend_info``."""
        facts: dict[str, Any] = {
            "backend_type": self.backend_type,
            "model_path": str(self.model_path),
            "model_type": self.model_type,
        }
        if self.backend_type != DEFAULT:  # nothing stands in for the default
            path = self.fallback_path
            facts["using_fallback"] = self.using_fallback
            facts["fallback_path"] = None if path is None else str(path)
        return facts

    def find_file(self) -> Artefact:
        """Find the model's file, which has the name of the backend's row in a stored version.

        The facts of that version are taken; see :meth:`take_facts`.

        Raises:
            NotUsableError: there is no such file.
            ModelMismatchError: the version has recorded something else than was given.
        """
        artefact = find_file(self.model_path, BACKENDS[self.backend_type].artefact)
        self.take_facts(artefact)
        return artefact

    def list_columns(self) -> list[str] | None:
        """List the columns that the model needs; None if only Spark can tell.

        Raises:
            ValueError: no model is loaded.
            ModelMismatchError: the model does not list them, and there is no contract.
        """
        scorer = self._require_scorer()
        if scorer.columns is not None:
            return list(scorer.columns)
        if scorer.is_native:
            return None
        if self.contract is None:
            raise ModelMismatchError(
                f"{scorer.name}: found a model that does not list its columns, and no contract",
                hint="name the model's contract, with --contract or load_model(contract=…)",
            )
        return list(self.contract.feature_names)

    @property
    def knows_columns(self) -> bool:
        """Whether the model takes its columns by name, or somebody has named them."""
        scorer = self._require_scorer()
        return scorer.columns is not None or scorer.is_native

    def with_probability(self, frame: DataFrame) -> DataFrame:
        """Append the column ``probability``: double in [0, 1], null where the model gave none.

        No job is started; the executors score when one is. All columns of ``frame`` are kept,
        unchanged and in order. A model that does not list its columns gets the contract's features.

        Args:
            frame: a frame with the columns that the model needs, in any order, and any others.

        Raises:
            ValueError: no model is loaded, or ``frame`` has a column ``probability`` already.
            ModelMismatchError: ``frame`` lacks a column that the model needs.
        """
        scorer = self._require_scorer()
        refuse_probability_column(frame)
        columns = self.list_columns() or []
        refuse_missing_columns(frame.columns, columns, scorer.name)
        return scorer.append_probability(frame, columns)

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        """Return the model as Python workers run it on batches, if it is not native.

        Args:
            session: the session whose executors get the model.

        Raises:
            ValueError: no model is loaded.
        """
        scorer = self._require_scorer()
        return scorer.build_batch_scorer(session, self.list_columns() or [])

    def predict(self, features: pd.DataFrame) -> tuple[Predictions, Probabilities]:
        """Score rows in this process.

        Values are read by the contract's rules, as in the stream: if the contract takes numeric
        text, it is a number, and a blank is what the contract says.

        Args:
            features: a frame of at least one row, with the columns that the model takes.

        Returns:
            predictions: str [n_rows], the positive label where the probability, rounded to 6
            decimals as in the stream's messages, reaches the threshold, else the negative one;
            probabilities: float64 [n_rows] in [0, 1], of the positive class.

        Raises:
            ValueError: no model is loaded, or there are no rows.
            ColumnsMissingError: a column that the model takes is missing.
            NoProbabilityError: the model raised on some row, or gave no probability for it; the
                error names the first.
            FeaturesValueError: a value of the wrong type, such as text where the contract wants a
                number, or a missing one that may not be.
        """
        scorer = self._require_scorer()
        if features.empty:
            raise ValueError("Features DataFrame is empty")
        if self._reader is not None:
            features = self._reader.read(features)
        if scorer.columns is not None:
            refuse_missing_columns(features.columns, scorer.columns, scorer.name)
        try:
            probabilities = scorer.score(features)
        except ScoringError:
            raise
        except Exception as error:  # noqa: BLE001 - a model may raise anything
            raise_row_error(scorer.score, features, error, scorer.name)
        valid = (probabilities >= 0) & (probabilities <= 1)
        if not valid.all():
            raise NoProbabilityError(
                f"{scorer.name}: found no probability in [0, 1] for {int((~valid).sum())} of "
                f"{len(features)} rows, the first at position {int(np.argmin(valid))}"
            )
        return self._label_all(probabilities), probabilities

    def predict_records(self, records: Sequence[Record]) -> tuple[Predictions, Probabilities]:
        """Do the same for records (field → value), without a frame if that is faster."""
        scorer = self._require_scorer()
        if (
            scorer.takes_records
            and records
            and (self._reader is None or self._reader.takes(records))
        ):
            # Records that it does not take as they are go the usual way, which says what is wrong.
            with suppress(Exception):
                probabilities = scorer.score_records(records)
                if ((probabilities >= 0) & (probabilities <= 1)).all():
                    return self._label_all(probabilities), probabilities
        if self._reader is not None:
            self._reader.refuse_numbers(records)
        return self.predict(build_features(records))

    def _label_all(self, probabilities: Probabilities) -> Predictions:
        negative, positive = list_labels(self.contract)
        return np.where(are_positive(probabilities, self.threshold), positive, negative)

    def _require_scorer(self) -> ModelScorer:
        if self._scorer is None or self._scorer.model is None:
            raise ValueError("Model not loaded. Call load() first.")
        return self._scorer


class ColumnsMissingError(ModelMismatchError, ValueError):
    """Records lack a column that the model needs."""

    remedy = "add the columns, or name a model that was trained without them"


def refuse_missing_columns(found: Collection[str], needed: Sequence[str], name: str) -> None:
    """Raise ColumnsMissingError if a column that the model needs is not among those found."""
    present = set(found)
    missing = [column for column in needed if column not in present]
    if missing:
        raise ColumnsMissingError(
            f"{name}: found records without the columns {missing}, expected {list(needed)}"
        )


def refuse_probability_column(frame: DataFrame) -> None:
    """Raise ValueError if appending would give the frame a second column ``probability``."""
    # Spark resolves names without regard to case.
    if PROBABILITY_COLUMN in (name.lower() for name in frame.columns):
        raise ValueError(f"the frame has a column {PROBABILITY_COLUMN!r} already; rename it first")
