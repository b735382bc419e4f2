"""The ONNX backend: onnxruntime runs a classifier. It imports without it and PySpark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import pandas as pd

from lib.errors import SetupError
from lib.score.artefact import Artefact
from lib.score.backends.onnx.model import OnnxModel
from lib.score.base import ModelBackend, ModelPath
from lib.score.fallback import NotUsableError
from lib.score.features import Record
from lib.score.registry import BackendOptions
from lib.score.scorer import ModelScorer, Probabilities
from lib.score.workers.shared import SharedContent

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.record.contract import Contract
    from lib.score.backends.onnx.scorer import OnnxBatchScorer


class OnnxScorer(ModelScorer):
    """Scores with one graph, in this process and in workers, which open it once each."""

    takes_records = True
    model: OnnxModel

    def __init__(self, model: OnnxModel, name: str) -> None:
        super().__init__(model, name)
        self._shared: SharedContent | None = None

    @property
    def columns(self) -> Sequence[str]:
        """See :attr:`ModelScorer.columns`."""
        return self.model.columns

    def score(self, features: pd.DataFrame) -> Probabilities:
        """See :meth:`ModelScorer.score`."""
        return self.model.score_frame(features)

    def score_records(self, records: Sequence[Record]) -> Probabilities:
        """See :meth:`ModelScorer.score_records`; a frame would take more time than the graph."""
        return self.model.score_records(records)

    def append_probability(self, frame: DataFrame, columns: Sequence[str]) -> DataFrame:
        """See :meth:`ModelScorer.append_probability`; an Arrow UDF does it here."""
        from lib.score.backends.onnx.udf import append_probability

        scorer = self.build_batch_scorer(frame.sparkSession, columns)
        return append_probability(frame, columns, scorer)

    def build_batch_scorer(self, session: SparkSession, columns: Sequence[str]) -> OnnxBatchScorer:
        """See :meth:`ModelScorer.build_batch_scorer`."""
        from lib.score.backends.onnx.scorer import OnnxBatchScorer

        if self._shared is None:
            self._shared = SharedContent(self.model.content)
        content, model = self._shared.broadcast(session.sparkContext), self.model
        given = None if model.given_columns is None else tuple(model.given_columns)
        return OnnxBatchScorer(
            *(content, self._shared.sha256, self.name, model.provider, given, model.positive)
        )


class OnnxBackend(ModelBackend):
    """Scores with a ``.onnx`` file.

    :mod:`lib.score.backends.onnx.model` describes the graph that it needs. A file of a stored
    version is checked against its checksum before it is opened.

    Attributes:
        provider: "cpu", or "cuda" if there are onnxruntime-gpu and a GPU.
    """

    backend_type = "onnx"

    def __init__(
        self,
        model_path: ModelPath,
        fallback_path: ModelPath | None = None,
        *,
        provider: str = "cpu",
        fallback_preprocessor_path: ModelPath | None = None,
        contract: Contract | None = None,
    ) -> None:
        super().__init__(
            model_path,
            fallback_path,
            fallback_preprocessor_path=fallback_preprocessor_path,
            contract=contract,
        )
        self.provider = provider

    @classmethod
    def build(cls, model_path: ModelPath, options: BackendOptions) -> Self:
        """See :meth:`ModelBackend.build`."""
        backend = super().build(model_path, options)
        backend.provider = options.provider
        return backend

    def open_model(self) -> tuple[OnnxModel, Artefact]:
        """See :meth:`ModelBackend.open_model`.

        Raises:
            SetupError: the provider that the caller has named is missing.
        """
        artefact = self.find_file()
        content = artefact.read()
        try:
            name = str(artefact.path)
            return OnnxModel(content, name, self.provider, self.given_columns), artefact
        except SetupError as error:
            if self.provider != "cpu":  # the caller has named a provider, so there is no other one
                raise
            raise NotUsableError(error.message) from error

    def wrap_model(self, model: OnnxModel, name: str) -> OnnxScorer:
        """See :meth:`ModelBackend.wrap_model`."""
        model.positive = self.find_positive(model.classes, name)
        return OnnxScorer(model, name)

    def describe(self) -> dict[str, Any]:
        """See :meth:`ModelBackend.describe`."""
        return {**super().describe(), "provider": self.provider}
