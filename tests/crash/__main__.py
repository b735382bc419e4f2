"""Run the crash laboratory: ``make crash``, or ``python -m tests.crash --help``.

A campaign may be interrupted, even with ``kill -9``. Started again with the same ``--state``, it
repeats the unfinished leg with a new broker, goes on, and adds up the results of all legs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from lib.setup.jars import provide_optional_jars
from lib.setup.places import PROJECT_ROOT
from tests.crash.arena import SHADOW, LaboratoryError, Setup
from tests.crash.campaign import run_leg
from tests.crash.drawing import build_schedule
from tests.crash.models import RECORDS, read_probabilities
from tests.crash.network import NoNetworksError
from tests.crash.report import CampaignReport, LegReport
from tests.crash.schedule import Schedule
from tests.crash.short import SHORT

# Other versions of Kafka than the tests' own → the set of jars.
_KAFKAS = {"3.9.1": "kafka-3.9"}
_STATE = PROJECT_ROOT / "build" / "crash"


def main() -> int:
    """Run a campaign; return 0 if no record was missing, repeated or wrong."""
    # SIGTERM ends the campaign as Ctrl-C does, so that broker and job end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _parse_options()
    state: Path = options.state
    state.mkdir(parents=True, exist_ok=True)
    schedule = _find_schedule(options)
    say(f"seed {schedule.seed}: {schedule.kills} kills, {schedule.records:,} records,")
    say(f"  {len(schedule.legs)} legs; the schedule: {state / 'schedule.json'}")
    setup = Setup(
        store=_find_models(state / "models"),
        probabilities=read_probabilities(state / "models"),
        records=RECORDS,
        delivery=options.delivery,
        jars=() if options.kafka is None else provide_optional_jars(_KAFKAS[options.kafka]),
        job_options=dict(option.split("=", 1) for option in options.job_option),
    )
    done = []
    started_s = time.monotonic()
    for number, leg in enumerate(schedule.legs):
        report_file = state / f"leg-{number:03d}.json"
        if report_file.exists():
            done.append(LegReport.from_fields(json.loads(report_file.read_text())))
            say(f"leg {number + 1}: done before")
            continue
        say(f"leg {number + 1} of {len(schedule.legs)}: {leg.setup}, {leg.site}")
        folder = state / f"leg-{number:03d}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            report = run_leg(setup, leg, folder, say)
        except KeyboardInterrupt:
            say("interrupted; the same command goes on with this leg")
            return 130
        except NoNetworksError as error:
            say(f"leg {number + 1} was not run: {error}")
            continue
        except LaboratoryError as error:
            say(f"leg {number + 1} failed: {error}")
            return 2
        report_file.write_text(json.dumps(report.to_fields(), indent=1))
        done.append(report)
        sums = CampaignReport(schedule.seed, options.delivery, done)
        say(
            f"leg {number + 1} done: {sums.kills} kills, {sums.records:,} records so far, faults"
            f" {dict(sums.faults) or 'none'}; {(time.monotonic() - started_s) / 60:.0f} min"
        )
        if report.faults or report.faults_live:
            say(f"  first seen: {json.dumps(report.examples, indent=1)}; the logs: {folder}")
    total = CampaignReport(schedule.seed, options.delivery, done)
    (state / "report.json").write_text(total.to_json())
    say(total.to_text())
    say(f"the report: {state / 'report.json'}")
    return 1 if total.faults else 0


def say(line: str) -> None:
    """Print a line without delay."""
    print(line, flush=True)


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--delivery", choices=("exactly-once", "at-least-once"), default="exactly-once"
    )
    parser.add_argument("--short", action="store_true", help="every kind of strike once")
    parser.add_argument("--schedule", type=Path, help="replay this file instead of making one")
    parser.add_argument(
        "--cluster", action="store_true", help="all legs on a standalone cluster, not only some"
    )
    parser.add_argument(
        "--job-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="of the job, like commit=executor; repeatable",
    )
    parser.add_argument(
        "--kafka", choices=_KAFKAS, help="brokers of this version, fetched once, not those of tests"
    )
    parser.add_argument(
        "--state", type=Path, default=_STATE, help="folder of results; a second run goes on there"
    )
    parser.add_argument("--anew", action="store_true", help="forget the results in --state")
    return parser.parse_args()


def _find_schedule(options: argparse.Namespace) -> Schedule:
    """Return the schedule of the state's earlier run, a given one, or a new one."""
    state: Path = options.state
    file = state / "schedule.json"
    if options.short:
        wanted = SHORT
    elif options.schedule is not None:
        wanted = Schedule.from_json(options.schedule.read_text())
    else:
        wanted = build_schedule(
            options.seed, kills=options.kills, records=options.records, is_cluster=options.cluster
        )
    what = json.dumps([wanted.to_json(), options.delivery, options.job_option, options.kafka])
    identity = state / "identity.json"
    if options.anew or not identity.exists() or identity.read_text() != what:
        for old in state.glob("leg-*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        file.write_text(wanted.to_json())
        identity.write_text(what)
    return wanted


def _find_models(folder: Path) -> Path:
    file = folder / "probabilities.json"
    # A folder of the time before there was a shadow has fewer versions.
    if not file.exists() or f"{SHADOW}/onnx" not in json.loads(file.read_text()):
        say("fitting the models ...")
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run(
            [sys.executable, "-m", "tests.crash.models", str(folder)], cwd=PROJECT_ROOT, check=True
        )
    return folder


if __name__ == "__main__":
    sys.exit(main())
