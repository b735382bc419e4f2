"""Report what a campaign has shown: sums over its legs, as JSON and as a table.

This module is pure.
"""

from __future__ import annotations

import json
import platform
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from tests.support.ledger import Fault

_PACKAGES = ("pyspark", "confluent-kafka", "pyarrow", "scikit-learn")


@dataclass(frozen=True)
class Outcome:
    """The outcome of one strike.

    Attributes:
        name: name of the strike.
        is_kill: whether it killed something.
        is_done: False where there was nothing to strike, so that the strike does not count.
        first_s: seconds from the kill, or the end of the disturbance, to the first answer after it.
        wait_s: longest time in seconds that readers were without a new answer.
        restarts: number of times that the supervisor restarted the job.
        phases: step of the last start → seconds from the step before it.
    """

    name: str
    is_kill: bool
    is_done: bool
    first_s: float
    wait_s: float
    restarts: int
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class LegReport:
    """The results of one leg.

    Attributes:
        setup: backend, and where it ran.
        site: number of brokers, and where they ran.
        records: number of records sent, each of which is answered or missing.
        messages: number of messages that readers saw; equal to ``records`` without faults.
        faults: kind of fault → count, from reading everything again at the end.
        faults_live: kind of fault → count, from the reader that followed while the leg ran.
        examples: kind of fault → places where it was found first.
        replays: number of batches that were repeated although Kafka had all or a part of them.
        starts: number of the job's starts.
        models: model version → number of predictions.
        duration_s: length of the leg in seconds.
        outcomes: outcome of each strike.
        shadows: number of records for which the shadow has a message.
        unshadowed: number of predictions without one: of batches that were written without shadows.
        shadow_errors: number of the shadow's messages that say why it has no answer.
    """

    setup: str
    site: str
    records: int
    messages: int
    faults: Mapping[str, int]
    faults_live: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]
    replays: int
    starts: int
    models: Mapping[str, int]
    duration_s: float
    outcomes: Sequence[Outcome]
    shadows: int = 0
    unshadowed: int = 0
    shadow_errors: int = 0

    def to_fields(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return asdict(self)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> LegReport:
        """Make a report from the fields of :meth:`to_fields`."""
        outcomes = tuple(Outcome(**outcome) for outcome in fields["outcomes"])
        return cls(**{**fields, "outcomes": outcomes})


@dataclass(frozen=True)
class CampaignReport:
    """The results of all legs.

    Attributes:
        seed: seed of the schedule.
        delivery: the guarantee that was tested.
        legs: results of the legs that are done.
    """

    seed: int
    delivery: str
    legs: Sequence[LegReport]

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """Outcomes of the strikes that found something to strike."""
        return [it for leg in self.legs for it in leg.outcomes if it.is_done]

    @property
    def kills(self) -> int:
        """Number of killed processes."""
        return sum(it.is_kill for it in self.outcomes)

    @property
    def records(self) -> int:
        """Number of records that were sent."""
        return sum(leg.records for leg in self.legs)

    @property
    def faults(self) -> Counter[str]:
        """Kind of fault → count, the larger one of both readings."""
        total: Counter[str] = Counter()
        for leg in self.legs:
            total += Counter(leg.faults) | Counter(leg.faults_live)
        return total

    def to_json(self) -> str:
        """Return the whole report with versions, as JSON."""
        fields = {
            "seed": self.seed,
            "delivery": self.delivery,
            "records": self.records,
            "kills": self.kills,
            "faults": self.faults,
            "versions": list_versions(),
            "legs": [leg.to_fields() for leg in self.legs],
        }
        return json.dumps(fields, indent=1) + "\n"

    def to_text(self) -> str:
        """Return the report as Markdown tables."""
        parts = (self._sums(), self._sites(), self._strikes(), self._phases())
        return "\n\n".join("\n".join(part) for part in parts)

    def _sums(self) -> list[str]:
        waits = [it.wait_s for it in self.outcomes]
        firsts = [it.first_s for it in self.outcomes if it.is_kill]
        starts = sum(leg.starts for leg in self.legs)
        return [
            "| what | |",
            "|---|--:|",
            f"| records | {self.records:,} |",
            f"| kills, other strikes | {self.kills:,}, {len(self.outcomes) - self.kills:,} |",
            f"| starts of the job | {starts:,} |",
            *(f"| {fault} | {self.faults[fault]:,} |" for fault in Fault),
            f"| shadow's answers, with an error, records without |"
            f" {sum(leg.shadows for leg in self.legs):,},"
            f" {sum(leg.shadow_errors for leg in self.legs):,},"
            f" {sum(leg.unshadowed for leg in self.legs):,} |",
            f"| batches replayed | {sum(leg.replays for leg in self.legs):,} |",
            f"| from kill to first commit, median / p95 / max | {_spread(firsts)} |",
            f"| longest wait of readers, median / p95 / max | {_spread(waits)} |",
            f"| duration | {sum(leg.duration_s for leg in self.legs) / 60:,.0f} min |",
        ]

    def _sites(self) -> list[str]:
        rows = ["| site | legs | kills, other strikes | records |", "|---|--:|--:|--:|"]
        for site in dict.fromkeys(leg.site for leg in self.legs):
            mine = CampaignReport(
                self.seed, self.delivery, [leg for leg in self.legs if leg.site == site]
            )
            others = len(mine.outcomes) - mine.kills
            rows.append(
                f"| {site} | {len(mine.legs)} | {mine.kills}, {others} | {mine.records:,} |"
            )
        return rows

    def _strikes(self) -> list[str]:
        rows = [
            "| strike | times | to first commit, s (median / p95 / max) | readers waited, s"
            " (median / p95 / max) |",
            "|---|--:|--:|--:|",
        ]
        for name in sorted({it.name for it in self.outcomes}):
            mine = [it for it in self.outcomes if it.name == name]
            firsts, waits = [it.first_s for it in mine], [it.wait_s for it in mine]
            rows.append(f"| {name} | {len(mine)} | {_spread(firsts)} | {_spread(waits)} |")
        return rows

    def _phases(self) -> list[str]:
        """Return a table of the time that each phase takes, over strikes with just one start."""
        rows = ["| phase of a start | median, s |", "|---|--:|"]
        single = [it.phases for it in self.outcomes if it.restarts == 1 and it.phases]
        names = list(dict.fromkeys(name for phases in single for name in phases))
        for name in names:
            values = [phases[name] for phases in single if name in phases]
            rows.append(f"| {name} | {statistics.median(values):.2f} |")
        return rows


def list_versions() -> dict[str, str]:
    """Return the versions of Python and the packages that decide the result."""
    packages = {name: version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **packages}


def _spread(values: Iterable[float]) -> str:
    ordered = sorted(values)
    if not ordered:
        return "–"
    p95 = ordered[min(int(len(ordered) * 0.95), len(ordered) - 1)]
    return f"{statistics.median(ordered):.1f} / {p95:.1f} / {ordered[-1]:.1f}"
