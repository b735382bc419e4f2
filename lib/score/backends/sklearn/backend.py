"""The scikit-learn backend, which runs a pipeline in this process or in Python workers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from lib.errors import ModelError, ModelNotFoundError
from lib.score.admission.classes import list_classes
from lib.score.artefact import Artefact, find_artefact
from lib.score.backends.sklearn.attributes import (
    are_texts_categories,
    find_threshold,
    list_columns,
    refuse_other_columns,
)
from lib.score.backends.sklearn.files import open_file
from lib.score.backends.sklearn.worker import (
    Prepare,
    compute_probability,
    take_categories,
    take_matrix,
)
from lib.score.base import ModelBackend, ModelPath
from lib.score.registry import BACKENDS, BackendOptions
from lib.score.workers.scorer import WorkerScorer
from lib.store.compatibility import check_library, refuse_other_minor

if TYPE_CHECKING:
    from lib.record.contract import Contract


class ModelFileNotFoundError(ModelNotFoundError, FileNotFoundError):
    """A model path or reference leads to no file."""

    remedy = "check the path, or train a version with jobs/train.py"


class SklearnBackend(ModelBackend):
    """Scores with any object that has ``predict_proba``, read from a joblib file.

    A file of a stored version is checked against its checksum, and the version's scikit-learn
    against the installed one, before anything is unpickled. A joblib file can run any code when it
    is opened: load only files that you trust.

    Attributes:
        preprocessor_path: the path of a fitted transformer that is applied first; None for none.
    """

    backend_type = "sklearn"

    def __init__(
        self,
        model_path: ModelPath,
        preprocessor_path: ModelPath | None = None,
        *,
        contract: Contract | None = None,
    ) -> None:
        super().__init__(model_path, contract=contract)
        self.preprocessor_path = preprocessor_path
        self._preprocessor: Any = None

    @classmethod
    def build(cls, model_path: ModelPath, options: BackendOptions) -> Self:
        """See :meth:`ModelBackend.build`."""
        backend = cls(model_path, options.preprocessor_path, contract=options.contract)
        return backend.with_facts(options)

    @property
    def preprocessor(self) -> Any:
        """The transformer that comes before the model, once loaded; it may be set."""
        return self._preprocessor

    @preprocessor.setter
    def preprocessor(self, preprocessor: Any) -> None:
        self._preprocessor = preprocessor
        if self._scorer is not None:
            self._scorer = self.wrap_model(self._scorer.model, self._scorer.name)

    def open_model(self) -> tuple[Any, Artefact]:
        """Read the model and the preprocessor, if there is one.

        Raises:
            FileNotFoundError: there is no such file or version.
            ModelCorruptError: a file of a stored version is not the one that was saved.
            ModelMismatchError: the version was saved by another scikit-learn.
            ModelError: a file holds something that cannot score, or cannot be unpickled.
        """
        artefact = _find(self.model_path, "Model")
        self.take_facts(artefact)
        model = _open(artefact, needs="predict_proba")
        preprocessor = None
        if self.preprocessor_path is not None:
            preprocessor = _open(_find(self.preprocessor_path, "Preprocessor"), needs="transform")
        self._preprocessor = preprocessor
        return model, artefact

    def wrap_model(self, model: Any, name: str) -> WorkerScorer:
        """See :meth:`ModelBackend.wrap_model`."""
        positive = self.find_positive(list_classes(model), name, guesses=True)
        first = model if self.preprocessor is None else self.preprocessor
        columns, given = list_columns(first), self.given_columns
        if given is not None:
            refuse_other_columns(first, given, name)
        prepare: Prepare | None = None
        if given is not None and columns is None:
            # A model that knows no names takes a matrix, as it did when it was fitted.
            prepare = partial(take_matrix, given)
        elif are_texts_categories(first, name):
            prepare = take_categories
        return WorkerScorer(
            model,
            name,
            partial(compute_probability, model, self.preprocessor, positive, prepare),
            given or columns,
            find_threshold(model, positive),
        )

    def describe(self) -> dict[str, Any]:
        """See :meth:`ModelBackend.describe`."""
        path = self.preprocessor_path
        return {
            **super().describe(),
            "has_preprocessor": self.preprocessor is not None or path is not None,
            "preprocessor_path": None if path is None else str(path),
        }


def _find(path: ModelPath, what: str) -> Artefact:
    try:
        artefact = find_artefact(path, BACKENDS[SklearnBackend.backend_type].artefact)
    except ModelNotFoundError as error:
        raise ModelFileNotFoundError(f"{what} file not found: {error.message}") from error
    if not artefact.path.is_file():
        raise ModelFileNotFoundError(f"{what} file not found: {artefact.path}")
    return artefact


def _open(artefact: Artefact, *, needs: str) -> Any:
    """Verify a file, and open the same bytes whose checksum was compared."""
    path, content = artefact.path, artefact.read()
    if artefact.version is not None:
        check_library(artefact.version.metadata, "scikit-learn")
    elif artefact.saved_by is not None:
        refuse_other_minor(artefact.label, "scikit-learn", artefact.saved_by)
    model = open_file(path, content)
    if not hasattr(model, needs):
        raise ModelError(f"{path}: found a {type(model).__name__}, expected an object with {needs}")
    return model
