"""Run ``make soak``: half an hour of load, restarts and kills; nothing may grow or be lost."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.environment import describe_machine, describe_versions
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.setup.places import BUILD_ROOT
from lib.tools.broker import EmbeddedBroker
from lib.tools.broker.guarded_folder import GuardedFolder
from tests.crash.models import RECORDS, read_probabilities
from tests.end_to_end.jobs import Deployment
from tests.endurance.growth import Growth
from tests.endurance.soak import Life, Soak
from tests.support.answers import AnswerReader
from tests.support.ledger import Ledger
from tests.support.load import Load
from tests.support.stored_models import provide_store

_REPORTS = BUILD_ROOT / "soak"
_PARTITIONS = 4
_LIFE_S = 300.0
_WIDE = {"max.message.bytes": "2097152"}
_ENDS = (signal.SIGKILL, signal.SIGTERM)


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak, print and write the report; return 0 if nothing grew and nothing was lost."""
    options = _parse(arguments)
    started = datetime.now(UTC)
    store = provide_store()
    folder = GuardedFolder.create("churn-soak-")
    try:
        with EmbeddedBroker() as broker:
            soak, ledger = _run(broker, store, folder.path, options)
    finally:
        folder.remove()
    faults = {str(fault): count for fault, count in ledger.examine().counts.items()}
    _show(soak.lives)
    report = {
        "started": started.isoformat(timespec="seconds"),
        "minutes": options.minutes,
        "rate": options.rate,
        "backend": options.backend,
        "machine": describe_machine(),
        "versions": describe_versions(is_embedded=True),
        "records": ledger.expected,
        "answered": ledger.answered,
        "faults": faults,
        "models": dict(ledger.model_versions),
        "lives": [_describe(life) for life in soak.lives],
    }
    _REPORTS.mkdir(parents=True, exist_ok=True)
    path = _REPORTS / f"soak-{started:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    leaks = [
        f"{leak.name} grew by {leak.growth:,.0f}" for life in soak.lives for leak in life.leaks
    ]
    failures = [*leaks, *(f"{count} x {fault}" for fault, count in faults.items())]
    _tell(f"{ledger.expected:,} records, {ledger.answered:,} answered, faults {faults or 'none'}")
    _tell(f"report: {path}")
    _tell("FAILED: " + "; ".join(failures) if failures else "nothing grew, nothing was lost")
    return 1 if failures else 0


def _run(
    broker: EmbeddedBroker, store: Path, folder: Path, options: argparse.Namespace
) -> tuple[Soak, Ledger]:
    servers = broker.bootstrap_servers
    create_topics(Cluster(servers), {"customers": _PARTITIONS, "dead-letters": 2}, _WIDE)
    create_topics(Cluster(servers), {"predictions": _PARTITIONS})
    deployment = Deployment(
        bootstrap_servers=servers,
        input_topic="customers",
        output_topic="predictions",
        dead_letter_topic="dead-letters",
        store=store,
        checkpoint=folder / "checkpoint",
        query_name=f"soak-{uuid.uuid4().hex[:8]}",
    )
    ledger = Ledger(RECORDS, read_probabilities(store))
    life_s = min(_LIFE_S, options.minutes * 60 / 2)
    lives = max(round(options.minutes * 60 / life_s), 2)
    with (
        AnswerReader(servers, "predictions", "dead-letters", ledger) as reader,
        Load(servers, "customers", _PARTITIONS, ledger, rate=options.rate * 2) as load,
    ):
        soak = Soak(
            deployment=deployment,
            folder=folder,
            reader=reader,
            load=load,
            ledger=ledger,
            broker_pid=broker.pid,
            tell=_tell,
            rate=options.rate,
            warm_up_s=min(60.0, life_s / 3),
            options={"backend": options.backend},
        )
        for number in range(lives):
            is_last = number == lives - 1
            end = signal.SIGTERM if is_last else _ENDS[number % 2]
            life = soak.live(life_s, end, drain=is_last)
            _tell(
                f"life {number + 1}: ended by {life.ended_by} after {life.seconds:.0f} s,"
                f" {ledger.answered:,} of {ledger.expected:,} answered,"
                f" {len(life.leaks)} leaks"
            )
    return soak, ledger


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="default: %(default)s")
    parser.add_argument("--rate", type=int, default=500, help="records/s; default: %(default)s")
    parser.add_argument("--backend", choices=("sql", "onnx", "spark", "sklearn"), default="onnx")
    return parser.parse_args(arguments)


def _describe(life: Life) -> dict[str, object]:
    return {
        "ended_by": life.ended_by,
        "model": life.model,
        "seconds": round(life.seconds, 1),
        "left_files": life.left_files,
        "checkpoint_bytes": life.checkpoint_bytes,
        "checkpoint_files": life.checkpoint_files,
        "broker_files": life.broker_files,
        "jvm_threads": dict(life.jvm_threads),
        "growths": {growth.name: _describe_growth(growth) for growth in life.growths},
    }


def _describe_growth(growth: Growth) -> dict[str, float | bool | None]:
    return {
        "level": round(growth.level),
        "peak": round(growth.peak),
        "per_hour": None if growth.slope_per_s is None else round(growth.slope_per_s * 3600),
        "growth": round(growth.growth, 1),
        "limit": round(growth.limit, 1),
        "is_leak": growth.is_leak,
    }


def _show(lives: Sequence[Life]) -> None:
    table = Table(title="per life: median level, and growth in its time")
    for heading in ("quantity", *(f"{n}: {life.ended_by}" for n, life in enumerate(lives, 1))):
        table.add_column(heading)
    names = dict.fromkeys(growth.name for life in lives for growth in life.growths)
    for name in names:
        found = [next((g for g in life.growths if g.name == name), None) for life in lives]
        table.add_row(name, *(_format(growth) for growth in found))
    table.add_row("left temporary files", *(str(life.left_files) for life in lives))
    table.add_row("checkpoint, kB", *(f"{life.checkpoint_bytes / 1e3:.0f}" for life in lives))
    table.add_row("files of the broker", *(str(life.broker_files) for life in lives))
    Console(highlight=False).print(table)


def _format(growth: Growth | None) -> str:
    if growth is None:
        return "-"
    unit, of = (" MiB", 2**20) if growth.level > 2**20 else ("", 1)
    mark = "  LEAK" if growth.is_leak else ""
    return f"{growth.level / of:,.0f}{unit} {growth.growth / of:+,.1f}{mark}"


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
