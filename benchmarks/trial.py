"""Share settings, conditions and the place of the report among benchmarks of contestants."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, field_validator
from rich.console import Console

from benchmarks.answers import expect_answers
from benchmarks.course import Course
from benchmarks.environment import (
    describe_machine,
    describe_revision,
    describe_versions,
    leave_out_variables,
    read_variables,
)
from benchmarks.topics import SEED, name_topic
from lib.kafka.cluster import Cluster
from lib.settings.base import JobSettings
from lib.setup.launch import read_spark_defaults
from lib.setup.places import BUILD_ROOT, PROJECT_ROOT
from lib.store import ModelStore
from lib.store.version import open_version
from lib.tools.broker import EmbeddedBroker, provide_broker
from lib.tools.broker.guarded_folder import GuardedFolder
from lib.tools.demo.child import Child

FOLDER = BUILD_ROOT / "benchmarks"
#: The reports that documents quote.
RESULTS = PROJECT_ROOT / "docs" / "results"
_MODEL = "churn"
# A model of older training code may lack what the hand-written programs read from its file.
_TRAINING = tuple(PROJECT_ROOT / "lib" / name for name in ("training", "synth"))


class BenchmarkSettings(JobSettings):
    """Settings that every benchmark has."""

    output: Path = Field(FOLDER, description="folder for the JSON report")
    result: str | None = Field(
        None,
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="a name: the report is also stored as docs/results/NAME.json",
    )

    @field_validator("result")
    @classmethod
    def _check_result(cls, name: str | None) -> str | None:
        if name is not None and describe_revision()["is_changed"] is not False:
            raise ValueError(
                "expected a clone without changes, because a stored report names the commit that"
                " was measured; commit your changes first"
            )
        return name

    def describe(self) -> dict[str, Any]:
        """Return the settings for the report, without its own places: they change no figure."""
        return self.model_dump(mode="json", exclude={"output", "result"})


class TrialSettings(BenchmarkSettings):
    """Settings of benchmarks that start the job; each of them lists its contestants."""

    contestants: ClassVar[Sequence[str]] = ()

    only: list[str] = Field(default_factory=list, description="a contestant; repeatable")
    conf: list[str] = Field(
        default_factory=list,
        description="KEY=VALUE for spark-submit, on top of conf/spark-defaults.conf; repeatable",
    )

    @field_validator("only")
    @classmethod
    def _check_only(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in cls.contestants:
                raise ValueError(f"expected some of {', '.join(cls.contestants)}")
        return names


def begin(settings: TrialSettings, console: Console) -> tuple[datetime, dict[str, Any]]:
    """Remove variables that would spoil the figures; return the time and the conditions so far."""
    for name in leave_out_variables():
        console.print(f"{name} is left out of the measurement")
    started = datetime.now(UTC)
    return started, {
        "started": started.isoformat(timespec="seconds"),
        "settings": settings.describe(),
        "machine": describe_machine(),
        "environment": read_variables(),
        "spark_defaults": read_spark_defaults(),
    }


@dataclass(frozen=True)
class Ground:
    """The brokers and the model with which contestants run.

    Attributes:
        cluster: the brokers.
        model: the folder of a stored version.
        guard: the guard of processes and scratch files.
    """

    cluster: Cluster
    model: Path
    guard: GuardedFolder

    @cached_property
    def rival(self) -> Path:
        """The folder of a version with the same files as the model, and another threshold."""
        version = open_version(self.model)
        store = ModelStore(self.model.parents[1])
        numbers = [it for it in store.versions(version.name) if it != version.version]
        if numbers:
            return store.resolve(f"{version.name}@{numbers[0]}").path
        now, origin = datetime.now(UTC), {"command": "benchmark"}
        return store.save_again(
            version, threshold=0.9, origin=origin, now=now, amend=lambda folder: None
        ).path

    @cached_property
    def expected(self) -> dict[bytes, float]:
        """Key → probability of the first customers of every topic that is filled."""
        return expect_answers(self.model, SEED)


def plan_course(
    ground: Ground,
    *,
    input_topic: str | None = None,
    batch_records: int = 0,
    spark_settings: Sequence[str] = (),
) -> Course:
    """Make a course with names that nobody else uses, for topics that do not exist yet.

    Args:
        ground: the ground that the contestant runs on.
        input_topic: the name of an existing topic; by default it gets a new name as well.
        batch_records: see :class:`benchmarks.course.Course`.
        spark_settings: see :class:`benchmarks.course.Course`.
    """
    group = name_topic("group")
    return Course(
        cluster=ground.cluster,
        input_topic=input_topic or name_topic("customers"),
        output_topic=name_topic("predictions"),
        dead_letter_topic=name_topic("dead-letters"),
        group=group,
        model=ground.model,
        rival=ground.rival,
        shadow_topic=name_topic("shadows"),
        checkpoint=ground.guard.path / group,
        batch_records=batch_records,
        spark_settings=spark_settings,
    )


@contextmanager
def provide_ground(conditions: dict[str, Any], console: Console) -> Iterator[Ground]:
    """Provide a model and a broker, and add the versions to the conditions.

    Raises:
        ScoringError: the training failed, or there is no broker.
    """
    with ExitStack() as stack:
        guard = GuardedFolder.create("churn-benchmark-")
        stack.callback(guard.remove)
        model = provide_model(guard, console)
        broker = stack.enter_context(provide_broker())
        conditions["versions"] = describe_versions(isinstance(broker, EmbeddedBroker))
        yield Ground(broker.cluster, model, guard)


def provide_model(guard: GuardedFolder, console: Console) -> Path:
    """Provide the benchmark's own model, which the real training job trains once for its code.

    Raises:
        ScoringError: the training failed.
    """
    store = ModelStore(FOLDER / "models" / digest_folders(_TRAINING))
    if not store.versions(_MODEL):
        command = [sys.executable, str(PROJECT_ROOT / "jobs" / "train.py"), "--data", "synthetic"]
        command += ["--store", str(store.root), "--name", _MODEL]
        log = FOLDER / "train.log"
        with (
            console.status("training a model"),
            Child("the training", command, log, guard) as training,
        ):
            training.wait()
    return store.resolve(f"{_MODEL}@champion").path


def digest_folders(folders: Sequence[Path]) -> str:
    """Compute a short digest of all modules in some folders."""
    found = hashlib.sha256()
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()[:12]


def write_report(
    settings: BenchmarkSettings, name: str, started: datetime, text: str, console: Console
) -> None:
    """Write ``name-TIME.json`` and, if the settings ask for it, the stored report; say where."""
    paths = [settings.output / f"{name}-{started:%Y%m%dT%H%M%SZ}.json"]
    if settings.result:
        paths.append(RESULTS / f"{settings.result}.json")
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        console.print(f"report: {path}", soft_wrap=True)
