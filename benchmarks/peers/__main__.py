"""Compare the job with its alternatives: rate, latency, memory and lines of code.

Run it with ``make bench-peers``, or see ``.venv/bin/python -m benchmarks.peers --help``;
docs/peers.md has the results.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from pydantic import Field
from rich.console import Console

from benchmarks.latency import Load, measure_latency
from benchmarks.peers.environments import find_version, provide_environments
from benchmarks.peers.roster import PEERS, RECORD_BY_RECORD, Peer
from benchmarks.report import Run, format_json
from benchmarks.tables import format_markdown, lay_out
from benchmarks.throughput import LEAST_BATCHES, ThroughputSettings, Track
from benchmarks.topics import clean_up, fill_topic, name_topic
from benchmarks.trial import Ground, TrialSettings, begin, provide_ground, write_report
from lib.errors import ScoringError
from lib.kafka.admin import build_admin
from lib.settings.command import run_job

_HEADINGS = (
    *("", "guarantee", "model", "records/s", "to record by record"),
    *("p50 ms", "p99 ms", "at records/s", "peak memory", "lines"),
)


class PeersSettings(TrialSettings):
    """Drain a topic, then answer a load, with the job and with its alternatives.

    Each peer gets its own environment, which is made at the first run. This starts an embedded
    broker, or uses that of KAFKA_BOOTSTRAP_SERVERS (without authentication).
    """

    contestants = tuple(PEERS)

    records: int = Field(500_000, ge=1_000, description="of the backlog; less for slow peers")
    rate: float = Field(1_000.0, gt=0, description="records per second; less for slow peers")
    seconds: float = Field(20.0, gt=0, description="of that load that are measured")
    warm_up: float = Field(10.0, ge=0, description="seconds of the same load before")
    only: list[str] = Field(list(PEERS), description="a peer; repeatable")
    markdown: bool = Field(False, description="print the table in Markdown too")


@dataclass(frozen=True)
class PeerResult:
    """The result of one peer, which is one row of the table.

    Attributes:
        peer: the peer's name.
        guarantee, model: the guarantee for its output, and the model that scores.
        tool: the tool's name and version; None for the job and the loops.
        lines: the number of lines of code that its user has written.
        drain: the run that drained the backlog; None where there was none, or the peer failed
            before.
        offered: the records per second of the load.
        p50_ms, p99_ms: the time from a record's due time to a read_committed reader.
        failures: the failures of the peer's runs.
    """

    peer: str
    guarantee: str
    model: str
    tool: str | None
    lines: int
    drain: Run | None
    offered: float
    p50_ms: float | None
    p99_ms: float | None
    failures: list[str]

    @property
    def rate(self) -> float | None:
        """Records per second of the backlog."""
        return None if self.drain is None or self.drain.failure else self.drain.rate


def measure_peer(peer: Peer, settings: PeersSettings, ground: Ground) -> PeerResult:
    """Measure how a peer drains its backlog, and then how it answers its load."""
    failures: list[str] = []
    drain, latency = None, None
    load = Load(min(settings.rate, peer.most_rate), settings.warm_up, settings.seconds)
    try:
        if peer.drains:
            drain = _drain(peer, settings, ground)
            failures += [drain.failure] if drain.failure else []
        run = measure_latency(peer.name, peer.build_server, load, ground, settings.conf)
        failures += [run.failure] if run.failure else []
        latency = run.overall
    except ScoringError as error:
        failures.append(str(error))
    environment, package = peer.contestant.environment, peer.contestant.package
    tool = f"{package} {find_version(environment, package)}" if environment and package else None
    return PeerResult(
        peer=peer.name,
        guarantee=peer.contestant.guarantee,
        model=peer.contestant.backend,
        tool=tool,
        lines=peer.count_lines(),
        drain=drain,
        offered=load.rate,
        p50_ms=latency.p50_ms if latency else None,
        p99_ms=latency.p99_ms if latency else None,
        failures=failures,
    )


def _drain(peer: Peer, settings: PeersSettings, ground: Ground) -> Run:
    records = min(settings.records, peer.contestant.most_records)
    topic, cluster = name_topic("customers"), ground.cluster
    admin = build_admin(cluster)
    throughput = ThroughputSettings(
        records=records,
        max_offsets_per_trigger=max(100, min(100_000, records // LEAST_BATCHES)),
        conf=settings.conf,
    )
    try:
        fill_topic(cluster, topic, records, lambda _: None)
        return Track(throughput, ground, admin, topic).run(peer.contestant, 1)
    finally:
        clean_up(admin, [topic])


def list_cells(result: PeerResult, slowest: float | None) -> tuple[str, ...]:
    """Write a row as text; ``slowest`` is the rate of the record-by-record consumer."""

    def show(figure: float | None, form: str = ",.0f") -> str:
        return "–" if figure is None else format(figure, form)

    ratio = result.rate / slowest if result.rate and slowest else None
    return (
        result.peer + (" (failed)" if result.failures else ""),
        *(result.guarantee, result.model, show(result.rate), show(ratio)),
        *(show(result.p50_ms), show(result.p99_ms), show(result.offered)),
        f"{result.drain.peak_bytes / 2**30:.1f} GiB" if result.drain else "–",
        str(result.lines),
    )


def measure(settings: PeersSettings) -> int:
    """Run everything; return 0 if each peer answered every record."""
    console = Console(highlight=False)
    peers = [PEERS[name] for name in settings.only]
    provide_environments((peer.contestant.environment for peer in peers), console)
    started, conditions = begin(settings, console)
    results = []
    with provide_ground(conditions, console) as ground:
        for peer in peers:
            with console.status(peer.name):
                results.append(measure_peer(peer, settings, ground))
            console.print(" | ".join(list_cells(results[-1], None)), soft_wrap=True)
            for failure in results[-1].failures:
                console.print(f"{peer.name}: FAILED: {failure}", soft_wrap=True, markup=False)
    slowest = next((it.rate for it in results if it.peer == RECORD_BY_RECORD), None)
    rows = [list_cells(result, slowest) for result in results]
    print(lay_out(_HEADINGS, rows, console.width))
    if settings.markdown:
        print("\n" + format_markdown(_HEADINGS, rows, texts=3))
    text = format_json(conditions, [], results)
    write_report(settings, "peers", started, text, console)
    return 1 if any(result.failures for result in results) else 0


if __name__ == "__main__":
    sys.exit(run_job(PeersSettings, measure))
