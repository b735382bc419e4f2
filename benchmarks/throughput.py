"""Measure how fast the job drains a topic, beside hand-written loops and a framework.

Run it with ``make bench``, or see
``.venv/bin/python benchmarks/throughput.py --help``; ``docs/engineering/benchmarks.md`` describes
the method.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from confluent_kafka.admin import AdminClient
from pydantic import Field
from rich.console import Console

from benchmarks.answers import Comparison
from benchmarks.contestants import CONTESTANTS, EXTRAS, Contestant
from benchmarks.course import Course
from benchmarks.observer import Family, Patience, watch
from benchmarks.peers.environments import find_version, provide_environments
from benchmarks.report import Run, format_json, format_markdown, format_table, summarise
from benchmarks.rounds import take_turns
from benchmarks.timeline import compute_rate, find_finish_s, find_first_s
from benchmarks.topics import (
    PARTITIONS,
    EndWatcher,
    clean_up,
    count_messages,
    fill_topic,
    name_topic,
)
from benchmarks.trial import (
    FOLDER,
    Ground,
    TrialSettings,
    begin,
    plan_course,
    provide_ground,
    write_report,
)
from lib.errors import ScoringError
from lib.kafka.admin import build_admin
from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from lib.settings.command import run_job
from lib.tools.demo.child import Child

LEAST_BATCHES = 5


class ThroughputSettings(TrialSettings):
    """Drain a topic with the job, with hand-written loops and with a framework, and compare.

    This starts an embedded broker, or uses that of KAFKA_BOOTSTRAP_SERVERS (without
    authentication).
    """

    contestants = tuple(CONTESTANTS)

    records: int = Field(1_000_000, ge=1_000, description="how many each contestant scores")
    rounds: int = Field(5, ge=1, description="how often each one runs, in turn")
    max_offsets_per_trigger: int = Field(
        100_000,
        ge=100,
        description=f"the job's micro-batch, in records; at most 1/{LEAST_BATCHES} of all",
    )
    only: list[str] = Field(
        [name for name in CONTESTANTS if not name.endswith(tuple(EXTRAS))],
        description="a contestant; repeatable",
    )
    markdown: bool = Field(False, description="print the table in Markdown too")

    @property
    def batch_records(self) -> int:
        """Size of the micro-batches, small enough for several of them."""
        return min(self.max_offsets_per_trigger, self.records // LEAST_BATCHES)


@dataclass(frozen=True)
class Track:
    """The settings, brokers and topic that all runs share.

    Attributes:
        settings: the settings of the benchmark.
        ground: broker, model and guard.
        admin: the broker's client.
        input_topic: the filled topic, with as many records as the settings say.
        partitions: the number of partitions of each topic of answers.
    """

    settings: ThroughputSettings
    ground: Ground
    admin: AdminClient
    input_topic: str
    partitions: int = PARTITIONS

    def run(self, contestant: Contestant, number: int) -> Run:
        """Let one contestant drain the topic, and check what it wrote."""
        course = plan_course(
            self.ground,
            input_topic=self.input_topic,
            batch_records=self.settings.batch_records,
            spark_settings=self.settings.conf,
        )
        topics = (course.output_topic, course.dead_letter_topic, course.shadow_topic)
        create_topics(self.ground.cluster, dict.fromkeys(topics, self.partitions))
        try:
            return self._drain(contestant, number, course)
        finally:
            clean_up(self.admin, topics, [course.group])

    def _drain(self, contestant: Contestant, number: int, course: Course) -> Run:
        cluster = self.ground.cluster
        topics = course.output_topic, course.dead_letter_topic
        ends = EndWatcher(cluster, topics, self.partitions)
        patience = Patience(self.settings.records)
        log = FOLDER / f"{contestant.name.replace('/', '-')}.log"
        family, failure = Family(), None
        with Child(
            contestant.name, contestant.build_command(course), log, self.ground.guard
        ) as child:
            seen = watch(
                lambda: patience.note(ends.count()),
                lambda: _is_running(child) and not (contestant.is_endless and patience.is_over),
                family,
            )
            try:
                if contestant.is_endless:
                    child.check()
                else:
                    child.wait()
            except ScoringError as error:
                failure = str(error)
        sightings, records = seen.sightings, self.settings.records
        answers = Comparison(self.ground.expected)
        count = count_messages(cluster, *topics, answers.note, self.partitions)
        return Run(
            contestant=contestant.name,
            round=number,
            records=records,
            failure=failure or count.check(records) or answers.check(records),
            rate=compute_rate(sightings, records, course.batch_records / records),
            late_rate=compute_rate(sightings, records, 0.5),
            first_s=find_first_s(sightings),
            finish_s=find_finish_s(sightings),
            wall_s=seen.duration_s,
            peak_bytes=seen.peak_bytes,
            cpu_s=seen.cpu_s,
            predictions=count.predictions,
            dead_letters=count.dead_letters,
        )


def _is_running(child: Child) -> bool:
    try:
        child.check()
    except ScoringError:
        return False
    return True


def measure(settings: ThroughputSettings) -> int:
    """Run everything; return 0 if every run accounts for every record."""
    console = Console(highlight=False)
    contestants = [CONTESTANTS[name] for name in settings.only]
    provide_environments((it.environment for it in contestants), console)
    started, conditions = begin(settings, console)
    conditions["tools"] = list_tools(contestants)
    with provide_ground(conditions, console) as ground, ExitStack() as stack:
        admin = build_admin(ground.cluster)
        tracks = {}
        for records in {min(settings.records, it.most_records) for it in contestants}:
            smaller = settings.model_copy(update={"records": records})
            filled = _provide_input(smaller, admin, ground.cluster, console)
            topic, size = stack.enter_context(filled)
            conditions["record_bytes"] = round(size / records)
            tracks[records] = Track(smaller, ground, admin, topic)
        runs = []
        for number, contestant in take_turns(contestants, settings.rounds):
            with console.status(f"round {number}: {contestant.name}"):
                track = tracks[min(settings.records, contestant.most_records)]
                runs.append(track.run(contestant, number))
            said = f"round {number}: {contestant.name}: {_describe(runs[-1])}"
            console.print(said, soft_wrap=True, markup=False)
    rows = summarise(runs)
    print(format_table(rows, console.width))
    if settings.markdown:
        print("\n" + format_markdown(rows))
    text = format_json(conditions, rows, runs)
    write_report(settings, "throughput", started, text, console)
    return 1 if any(run.failure for run in runs) else 0


def list_tools(contestants: Iterable[Contestant]) -> dict[str, str]:
    """Return package → version of the tools that contestants have in environments of their own."""
    return {
        it.package: find_version(it.environment, it.package)
        for it in contestants
        if it.environment and it.package
    }


def _describe(run: Run) -> str:
    return run.describe() if run.failure else f"{run.describe()}, {run.wall_s:.1f} s in all"


@contextmanager
def _provide_input(
    settings: ThroughputSettings, admin: AdminClient, cluster: Cluster, console: Console
) -> Iterator[tuple[str, int]]:
    topic = name_topic("customers")
    try:
        with console.status("filling the topic") as status:
            size = fill_topic(
                cluster, topic, settings.records, lambda n: status.update(f"{n:,} records sent")
            )
        console.print(
            f"{settings.records:,} records of {size / settings.records:.0f} bytes"
            f" in {PARTITIONS} partitions"
        )
        yield topic, size
    finally:
        clean_up(admin, [topic])


if __name__ == "__main__":
    sys.exit(run_job(ThroughputSettings, measure))
