"""Run ``make fuzz``: send hostile records through the real job and account for every one."""

from __future__ import annotations

import argparse
import json
import sys
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.environment import describe_machine, describe_versions
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.setup.places import BUILD_ROOT
from lib.tools.broker import EmbeddedBroker, provide_broker
from lib.tools.broker.guarded_folder import GuardedFolder
from tests.end_to_end.jobs import Deployment
from tests.hostile.fuzz import PARTITIONS, Run, measure_growth, run_fuzz
from tests.support.stored_models import provide_store

BACKENDS = ("sql", "onnx")
_REPORTS = BUILD_ROOT / "fuzz"
# This is far slower than any machine, so only a job that hangs takes longer.
_LEAST_RECORDS_PER_S = 100
_START_S = 120.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Fuzz, print and write the report; return 0 if nothing went wrong."""
    options = _parse(arguments)
    started = datetime.now(UTC)
    _tell(f"seed {options.seed}: {options.records:,} hostile records, a share for each backend")
    store = provide_store()
    runs = []
    with provide_broker() as broker:
        versions = describe_versions(isinstance(broker, EmbeddedBroker))
        share = options.records // len(options.backends)
        for turn, backend in enumerate(options.backends):
            numbers = range(turn * share, (turn + 1) * share)
            run = _run(broker.bootstrap_servers, store, backend, numbers, options)
            runs.append(run)
            _show(run)
    report = {
        "started": started.isoformat(timespec="seconds"),
        "seed": options.seed,
        "records": options.records,
        "machine": describe_machine(),
        "versions": versions,
        "runs": [_describe(run) for run in runs],
    }
    _REPORTS.mkdir(parents=True, exist_ok=True)
    path = _REPORTS / f"fuzz-{started:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(report, indent=2) + "\n")
    failures = [failure for run in runs for failure in run.failures]
    _tell(f"report: {path}")
    _tell("FAILED: " + "; ".join(failures) if failures else "every record was answered once")
    return 1 if failures else 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--batch-records", type=int, default=20_000, help="default: %(default)s")
    parser.add_argument(
        "--backends", nargs="+", choices=("sql", "onnx", "spark", "sklearn"), default=list(BACKENDS)
    )
    return parser.parse_args(arguments)


def _run(
    bootstrap_servers: str,
    store: Path,
    backend: str,
    numbers: range,
    options: argparse.Namespace,
) -> Run:
    name = f"fuzz-{backend}-{uuid.uuid4().hex[:8]}"
    source, output, dead_letters = (f"{name}.{end}" for end in ("in", "out", "dead"))
    create_topics(Cluster(bootstrap_servers), dict.fromkeys((source, output), PARTITIONS))
    create_topics(
        Cluster(bootstrap_servers), {dead_letters: PARTITIONS}, {"max.message.bytes": "2097152"}
    )
    folder = GuardedFolder.create("churn-fuzz-")
    try:
        checkpoint = folder.path / "checkpoint"
        deployment = Deployment(
            bootstrap_servers, source, output, dead_letters, store, checkpoint, name
        )
        return run_fuzz(
            deployment,
            backend,
            numbers,
            seed=options.seed,
            batch_records=options.batch_records,
            timeout_s=_START_S + len(numbers) / _LEAST_RECORDS_PER_S,
            tell=_tell,
        )
    finally:
        folder.remove()


def _describe(run: Run) -> dict[str, object]:
    account = run.account
    memory = {
        str(role): {
            "peak_mib": round(max(w.rss_bytes for w in weights) / 2**20),
            "growth_mib": _round_mib(measure_growth(weights)),
            "looks": len(weights),
        }
        for role, weights in run.weights.items()
    }
    return {
        "backend": run.backend,
        "records": len(account.numbers),
        "mean_value_bytes": round(run.value_bytes / len(account.numbers)),
        "predictions": account.predictions,
        "dead_letters": account.dead_letters,
        "faults": dict(account.faults),
        "examples": account.examples,
        "exit_code": run.exit_code,
        "job_s": round(run.job_s, 1),
        "memory": memory,
        "failures": run.failures,
    }


def _round_mib(size: float | None) -> int | None:
    return None if size is None else round(size / 2**20)


def _show(run: Run) -> None:
    for name, value in _describe(run).items():
        print(f"  {name:<17} {value}")
    if run.errors:
        print(run.errors)
    sys.stdout.flush()


def _tell(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
