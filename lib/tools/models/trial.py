"""Shows what a model says about the records of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lib.printable import align
from lib.record.contract import Contract
from lib.tools.models.scoring import Outcome
from lib.tools.models.table import NOTHING


def list_outcomes(outcomes: Sequence[Outcome], contract: Contract) -> Iterator[str]:
    """Write a table with a line for each record: its prediction, or why it has none."""
    names = contract.output
    rows = [["record", names.identifier, names.probability, names.label, "refused"]]
    for it in outcomes:
        probability = NOTHING if it.probability is None else f"{it.probability:.6f}"
        cells = (it.identifier or NOTHING, probability, it.label or NOTHING, it.reason)
        rows.append([it.place, *cells])
    yield from align(rows, left=(0, 1, 3, 4))


def summarise(outcomes: Sequence[Outcome], contract: Contract, scored_by: str) -> str:
    """Write in one line how many records were scored, and how many got the positive label."""
    scored = [it for it in outcomes if it.probability is not None]
    positive = sum(it.label == contract.positive_label for it in scored)
    return (
        f"{len(scored):,} of {len(outcomes):,} records scored by {scored_by}; {positive:,} are"
        f" {contract.positive_label}"
    )
