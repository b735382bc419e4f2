"""The ONNX backend: a classifier run by onnxruntime, with scikit-learn to fall back on.

Imports without onnxruntime and without PySpark.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pandas as pd

from lib.errors import SetupError
from lib.score.backends.onnx.model import OnnxModel
from lib.score.base import ModelPath, Predictions, Probabilities, refuse_missing_columns
from lib.score.fallback import FallbackBackend, NotUsableError
from lib.score.features import Record
from lib.store.version import ONNX_ARTEFACT

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.record.contract import Contract
    from lib.score.backends.onnx.scorer import OnnxScorer
    from lib.score.shared import SharedContent


class OnnxBackend(FallbackBackend):
    """Scores with a ``.onnx`` file; see :class:`FallbackBackend` for what stands in.

    What the graph has to look like says :mod:`lib.score.backends.onnx.model`. A file of a stored
    version is checked against its checksum before it is opened.

    Attributes:
        provider: "cpu", or "cuda" where onnxruntime-gpu and a GPU are.
    """

    backend_type = "onnx"
    kind = "ONNX"

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
        self._content = b""
        self._shared: SharedContent | None = None

    def _load_own(self) -> None:
        artefact = self._find_file(ONNX_ARTEFACT)
        content = artefact.read()
        try:
            model = OnnxModel(content, str(artefact.path), self.provider)
        except SetupError as error:
            if self.provider != "cpu":  # asked for by name: nothing else will do
                raise
            raise NotUsableError(error.message) from error
        self._content, self._shared = content, None
        self._adopt(model, version=artefact.version, label=artefact.label)

    def describe(self) -> dict[str, Any]:
        """See :meth:`ModelBackend.describe`."""
        return {**super().describe(), "provider": self.provider}

    def _score_own(self, features: pd.DataFrame) -> Probabilities:
        model: OnnxModel = self.model
        return model.score_frame(features)

    def predict_records(self, records: Sequence[Record]) -> tuple[Predictions, Probabilities]:
        """See :meth:`ModelBackend.predict_records`; without a frame, which costs more than ONNX."""
        is_own = self.fallback_backend is None and self.model is not None
        if is_own and records and not self._has_numeric_text(records):
            model: OnnxModel = self.model
            # What it does not take as it is goes the usual way, which says what is wrong.
            with suppress(KeyError, TypeError, ValueError):
                probabilities = model.score_records(records)
                if ((probabilities >= 0) & (probabilities <= 1)).all():
                    return self._label_all(probabilities), probabilities
        return super().predict_records(records)

    def _has_numeric_text(self, records: Sequence[Record]) -> bool:
        """Whether a number comes as text anywhere; what that means, the contract says."""
        numeric = () if self.contract is None else self.contract.numeric
        return any(isinstance(record.get(it.name), str) for it in numeric for record in records)

    def _list_own_columns(self) -> list[str] | None:
        model: OnnxModel = self.model
        return list(model.columns)

    def _append_own(self, frame: DataFrame) -> DataFrame:
        """As an Arrow UDF; the session is made once in each Python worker."""
        from lib.score.backends.onnx.udf import append_probability

        model: OnnxModel = self.model
        refuse_missing_columns(frame.columns, model.columns, self.scored_by)
        scorer = self._build_own_batch_scorer(frame.sparkSession)
        return append_probability(frame, model.columns, scorer)

    def _build_own_batch_scorer(self, session: SparkSession) -> OnnxScorer:
        from lib.score.backends.onnx.scorer import OnnxScorer
        from lib.score.shared import SharedContent

        if self._shared is None:
            self._shared = SharedContent(self._content)
        content = self._shared.broadcast(session.sparkContext)
        return OnnxScorer(content, self._shared.sha256, self.scored_by, self.provider)
