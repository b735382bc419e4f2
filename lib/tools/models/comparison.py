"""Compares what was measured of two models, and their predictions for the same records. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lib.printable import align
from lib.store.metadata import ModelMetadata
from lib.tools.models.listing import choose_metrics
from lib.tools.models.scoring import Outcome
from lib.tools.models.table import NOTHING
from lib.tools.models.topics.agreement import Scores, measure_agreement
from lib.tools.models.topics.report import spell_ends, spell_interval, spell_share
from lib.training.paired.estimate import number_clusters
from lib.training.paired.quality import HIGHER_IS_BETTER
from lib.training.report.console import METRIC_TITLES

# The number of records that are shown of those whose probabilities differ most.
_SHOWN = 5


def compare_metrics(first: ModelMetadata, second: ModelMetadata) -> Iterator[str]:
    """Write threshold and metrics of two versions side by side, with the difference."""
    names = (f"{first.name}@{first.version}", f"{second.name}@{second.version}")
    rows = [["", *names, "difference"], _compare("threshold", first.threshold, second.threshold)]
    measured = choose_metrics(first), choose_metrics(second)
    for name in dict.fromkeys((*METRIC_TITLES, *measured[0], *measured[1])):
        means = [it.get(name, {}).get("mean") for it in measured]
        if any(mean is not None for mean in means):
            rows.append(_compare(METRIC_TITLES.get(name, name), *means))
    yield from align(rows)


def find_worse(first: ModelMetadata, second: ModelMetadata, tolerance: float) -> list[str]:
    """List the metrics of the second version that are worse than those of the first.

    Args:
        first: the metadata of the version to be replaced.
        second: the metadata of the version to replace it with.
        tolerance: the largest difference that counts as none.

    Returns:
        A phrase for each metric that is worse, or that was measured of the first version only.
    """
    worse = []
    measured = choose_metrics(first), choose_metrics(second)
    for name, title in METRIC_TITLES.items():
        before, after = (it.get(name, {}).get("mean") for it in measured)
        if before is None:
            continue
        if after is None:
            worse.append(f"{title} was not measured")
            continue
        loss = before - after if name in HIGHER_IS_BETTER else after - before
        if loss > tolerance:
            worse.append(f"{title} is worse by {loss:.4f}")
    return worse


def _compare(title: str, first: float | None, second: float | None) -> list[str]:
    cells = [NOTHING if it is None else f"{it:.4f}" for it in (first, second)]
    is_known = first is not None and second is not None
    return [title, *cells, f"{second - first:+.4f}" if is_known else NOTHING]  # type: ignore[operator]


def compare_outcomes(
    first: Sequence[Outcome], second: Sequence[Outcome], names: tuple[str, str]
) -> Iterator[str]:
    """Write how far two models agree on the same records.

    Args:
        first: the outcomes of one model.
        second: those of the other one, of the same records in the same order.
        names: the names of both models.
    """
    pairs = [(one, two) for one, two in zip(first, second, strict=True) if not _fails(one, two)]
    refused = ", ".join(
        f"{name} gives {sum(it.probability is None for it in outcomes):,} no prediction"
        for name, outcomes in zip(names, (first, second), strict=True)
    )
    yield f"{len(first):,} records, {len(pairs):,} of them scored by both; {refused}"
    if not pairs:
        return
    before, after = (_collect(side) for side in zip(*pairs, strict=True))
    found = measure_agreement(before, after)
    yield (
        f"same label: {found.same.hits:,} of {found.same.rows:,}, {spell_share(found.same)}"
        f" (95 % interval {spell_interval(found.same)})"
    )
    for (old, new), count in found.changes.items():
        yield f"label {old} becomes {new}: {count:,}"
    yield (
        f"probability: on average {before.probabilities.mean():.6f} becomes"
        f" {after.probabilities.mean():.6f} ({found.shift.mean:+.6f}, 95 % interval"
        f" {spell_ends(found.shift, '+.6f')})"
    )
    median, most, largest = found.sizes
    yield (
        f"it changes by {median:.6f} in the median, by at most {most:.6f} for 95 % of the records,"
        f" by at most {largest:.6f} for all"
    )
    if largest > 0:
        shift = after.probabilities - before.probabilities
        yield "largest changes:"
        rows = [["record", "identifier", *names, "difference"]]
        for place in np.argsort(-np.abs(shift), kind="stable")[:_SHOWN]:
            one = pairs[place][0]
            both = (f"{it.probabilities[place]:.6f}" for it in (before, after))
            numbers = (*both, f"{shift[place]:+.6f}")
            rows.append([one.place, one.identifier or NOTHING, *numbers])
        yield from align(rows, left=(0, 1))


def _fails(one: Outcome, two: Outcome) -> bool:
    return one.probability is None or two.probability is None


def _collect(outcomes: Sequence[Outcome]) -> Scores:
    """Collect the answers of a model; a record without identifier is a subject of its own."""
    return Scores(
        np.array([it.probability for it in outcomes], dtype=np.float64),
        np.array([it.label for it in outcomes], dtype=np.str_),
        number_clusters([it.identifier or it.place for it in outcomes]),
    )
