"""Provide models of one function that score in Python workers."""

from __future__ import annotations

from dataclasses import dataclass

from lib.score.scorer import ScoreColumns


@dataclass(frozen=True)
class FunctionScorer:
    """A model that is a function of the columns; see ``lib.score.scorer.BatchScorer``."""

    score: ScoreColumns

    def open(self) -> ScoreColumns:
        return self.score
