"""Lists what a model must not be used for, as far as its training data tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lib.record.contract import Field, Kind
from lib.training.report.findings import Findings
from lib.training.report.segments import Segment

# A mean probability that is farther from the share of positives is named.
_FAR = 0.05


def list_limits(findings: Findings, segments: Sequence[Segment]) -> Iterator[str]:
    """List the uses that the data do not support, as sentences."""
    contract = findings.contract
    if findings.data.origin.get("source") == "synthetic":
        yield "Anything real: the data are synthetic."
    yield (
        "Records of another population, place or time than the data's: nothing here says how good"
        " it is there. Measure it anew with outcomes."
    )
    yield from _name_segments(
        "Segments that the data do not hold, whose scores are guesses",
        segments,
        lambda it: it.rows == 0,
    )
    yield from _name_segments(
        "Segments that were too small to be measured",
        segments,
        lambda it: it.rows > 0 and it.roc_auc is None,
    )
    yield from _name_segments(
        f"Counting on the probability as it is, where its mean is more than {_FAR:g} from the share"
        " of positives",
        segments,
        lambda it: it.roc_auc is not None and abs(it.mean - it.share) > _FAR,
    )
    numbers = [field for field in contract.features if field.kind in (Kind.NUMBER, Kind.INTEGER)]
    if numbers:
        yield (
            f"Numbers far outside of those in the table of the data ({_join(numbers)}): the"
            " contract takes them, but the model has not seen any."
        )
    yield (
        "Finding causes: an importance says what the model looks at, not what changes the outcome."
    )
    yield (
        "Decisions with serious consequences for a person that nobody reviews, or that the law"
        " forbids to base on one of the fields."
    )


def _name_segments(
    what: str, segments: Sequence[Segment], is_meant: Callable[[Segment], bool]
) -> Iterator[str]:
    names = [it.name for it in segments if is_meant(it)]
    if names:
        yield f"{what}: {', '.join(names)}."


def _join(fields: Sequence[Field]) -> str:
    return ", ".join(field.name for field in fields)
