"""Takes an ONNX model to Python workers, and scores there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lib.score.backends.onnx.model import OnnxModel
from lib.score.scorer import ScoreColumns
from lib.score.workers.shared import open_once

if TYPE_CHECKING:
    from pyspark import Broadcast


@dataclass(frozen=True)
class OnnxBatchScorer:
    """Scores batches; each worker makes its session once.

    Attributes:
        content: the model's bytes.
        sha256: the sha256 of the bytes.
        name: the name of the model, for messages.
        provider: "cpu" or "cuda".
        given_columns: the columns of a graph that takes them by position; None for no such graph.
        positive: the position of the positive class, 0 or 1.
    """

    content: Broadcast[bytes]
    sha256: str
    name: str
    provider: str
    given_columns: tuple[str, ...] | None = None
    positive: int = 1

    def open_model(self) -> OnnxModel:
        """Open the model in this process."""
        facts = (self.provider, self.given_columns, self.positive)
        return open_once(
            f"{self.sha256} {facts}", lambda: OnnxModel(self.content.value, self.name, *facts)
        )

    def open(self) -> ScoreColumns:
        """See :meth:`lib.score.scorer.BatchScorer.open`."""
        return self.open_model().score_columns
