"""Settings of ``jobs/score_stream.py``."""

from __future__ import annotations

import re
from math import inf
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from lib.address import Address
from lib.exactly_once.offsets.acceptance import EXPECTED, is_acceptance
from lib.kafka.partitions import ALL_PARTITIONS, POSITIONS, parse_partitions, parse_position
from lib.settings.base import OF_THE_DOMAIN, Committer, PlanSettings
from lib.settings.console import ConsoleSettings
from lib.settings.drift import DriftSettings
from lib.settings.real_time import REAL_TIME, iter_conflicts
from lib.settings.topics import DistinctTopicSettings

AVAILABLE_NOW = "available-now"
_INTERVAL = re.compile(r"\d+ (millisecond|second|minute|hour)s?")

Delivery = Literal["exactly-once", "at-least-once"]
Mode = Literal["micro-batch", "real-time"]
Commit = Literal["driver", "executor"]
BrakeAction = Literal["stop", "alert"]


class ScoreStreamSettings(DistinctTopicSettings, PlanSettings, ConsoleSettings, DriftSettings):
    """Score a Kafka topic of records, exactly once."""

    input_topic: str = Field("", description=f"topic of records{OF_THE_DOMAIN}")
    output_topic: str = Field("", description=f"topic for predictions{OF_THE_DOMAIN}")
    dead_letter_topic: str = Field(
        "", description=f"topic for records that cannot be scored{OF_THE_DOMAIN}"
    )
    challenger: str = Field(
        "",
        description="NAME@VERSION, or a path to a model, that answers a share of the records"
        " instead of the champion; see docs/try_a_model.md",
    )
    challenger_share: float = Field(
        0.1,
        gt=0,
        lt=1,
        description="share of the records that the challenger answers: those whose key has a hash"
        " below it, so that a key stays with one model",
    )
    shadow: list[str] = Field(
        [],
        description="NAME@VERSION, or a path to a model, that scores the same records beside the"
        " champion and answers to --shadow-topic; repeatable",
    )
    shadow_topic: str = Field("", description="topic for what shadows would have answered")
    query_name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._-]{0,200}$",
        description=f"consumer group and transactional id; one running job for each{OF_THE_DOMAIN}",
    )
    mode: Mode = Field(
        "micro-batch",
        description="real-time: milliseconds of latency, at least once; see docs/latency.md",
    )
    delivery: Delivery = Field("exactly-once", description="guarantee of the output")
    commit: Commit = Field(
        "driver",
        description="driver: one transaction a batch; executor: one a source partition and batch,"
        " for rates beyond one driver's",
    )
    partitions: str = Field(
        ALL_PARTITIONS,
        description="all, or those that this query reads, like 0-31 or 0,2,5-7; for several"
        " queries, each with its own query name and checkpoint, that share a topic",
    )
    trigger: str = Field(
        "500 milliseconds",
        description="interval between batches, or available-now to drain and end",
    )
    real_time_batch: str = Field(
        "15 seconds",
        description="time between checkpoints in real-time mode: what a crash repeats at most; its"
        " end is a pause",
    )
    checkpoint: str = Field(
        "",
        description="path or URL of Spark's checkpoint; checkpoints/QUERY_NAME where not given",
    )
    starting_offsets: str = Field(
        "earliest", description=f"where the very first start begins: {POSITIONS}"
    )
    ending_offsets: str = Field(
        "",
        description="where the job ends, as with starting_offsets, to score a range again under a"
        " query name of its own; without an end where not given",
    )
    max_offsets_per_trigger: int = Field(
        100_000, ge=1, description="largest batch, in records; bounds the driver's memory"
    )
    accept_offsets: str = Field(
        "",
        description="TOPIC@SUM, as a refused start prints it: take these offsets of the group for"
        " right, whoever has committed them",
    )
    transaction_timeout: float = Field(
        60.0,
        ge=10,
        description="seconds after which brokers abort a transaction that is not committed: what a"
        " batch or a part of it takes to be written at most, and what readers wait after a crash"
        " that nobody restarts; at most transaction.max.timeout.ms of the brokers",
    )
    part_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1024 * 1024,
        description="messages that --commit executor writes in one transaction at most, and that"
        " --commit driver collects at once of a batch that has failed twice, in bytes; each task"
        " holds so much in memory",
    )
    lease: int = Field(
        30,
        ge=0,
        description="seconds for which each commit says that the job is alive; a start waits for a"
        " job of its query name that is. 0 gives no lease and waits for none: the newest job takes"
        " over at once",
    )
    owner_timeout: float = Field(
        inf,
        ge=0,
        description="seconds that a start waits for another job of its query name; inf without an"
        " end, 0 not at all",
    )
    keep_alive: float = Field(
        86_400,
        ge=0,
        description="seconds after which an idle job commits all its offsets again, so that brokers"
        " do not forget them; sooner where they tell that they would, 0 for never",
    )
    reload_interval: float = Field(
        10.0,
        ge=0,
        description="seconds between two looks which version is the champion of the model; another"
        " one scores from the next batch on. 0 for never",
    )
    max_dead_letter_share: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="the brake: share of dead letters among the last records of --over, like 0.2,"
        " above which the job stops before it writes the batch; 0 for no brake. See docs/brake.md",
    )
    over: int = Field(
        1_000,
        ge=10,
        le=100_000,
        description="records in a row over which the brake takes the share; fewer are not judged",
    )
    brake: BrakeAction = Field(
        "stop",
        description="what the brake does: stop the job, or alert in the log, the metrics and on the"
        " page while it goes on",
    )
    once_accept_dead_letters: bool = Field(
        False,
        description="for one start after the brake: do not judge the records that the topic holds"
        " now; later ones are judged. Take it away for the next start",
    )
    restart_limit: int = Field(
        10,
        ge=0,
        description="how often in a row, without a finished batch between, a query that failed for"
        " a transient reason is started again; failures for want of brokers do not count",
    )
    batch_timeout: float = Field(
        600.0,
        gt=0,
        description="seconds after which a batch is given up and tried again, of which no task has"
        " ended meanwhile; above the longest task, and the longest transaction",
    )
    metrics: str = Field(
        "",
        description="HOST:PORT at which Prometheus' metrics and the health of the job are served;"
        " none where not given. Beyond loopback anybody who reaches the port can read them",
    )
    outcomes: Path | None = Field(
        None,
        description="folder that jobs/evaluate.py writes, whose newest figures metrics and page"
        " show; see docs/outcomes.md",
    )
    outage_limit: float = Field(
        0.0,
        ge=0,
        description="seconds that a running job waits for brokers that do not answer; 0 for ever",
    )
    stop_timeout: float = Field(
        60.0,
        gt=0,
        description="seconds that a stop leaves to the batch under way; the job ends at most 15"
        " seconds later, whatever it is doing",
    )

    @field_validator("partitions")
    @classmethod
    def _check_partitions(cls, partitions: str) -> str:
        parse_partitions(partitions)
        return partitions

    @field_validator("starting_offsets", "ending_offsets")
    @classmethod
    def _check_offsets(cls, offsets: str, info: ValidationInfo) -> str:
        if offsets or info.field_name == "starting_offsets":
            position = parse_position(offsets)
            if info.field_name == "ending_offsets" and isinstance(position, str):
                raise ValueError(
                    "expected an offset or a time: without an end the job goes on, and with"
                    " --trigger available-now it ends where the topic does"
                )
        return offsets

    @field_validator("accept_offsets", mode="before")
    @classmethod
    def _check_accept_offsets(cls, accepted: Any) -> Any:
        # Versions before 0.1.0 had a flag without a value, and false in their files.
        if accepted in ("", False, "false"):
            return ""
        if not isinstance(accepted, str) or not is_acceptance(accepted):
            raise ValueError(EXPECTED)
        return accepted

    @field_validator("metrics")
    @classmethod
    def _check_address(cls, address: str) -> str:
        if address:
            Address.parse(address)
        return address

    @field_validator("trigger")
    @classmethod
    def _check_trigger(cls, trigger: str) -> str:
        if trigger != AVAILABLE_NOW and _INTERVAL.fullmatch(trigger) is None:
            raise ValueError(f'expected "{AVAILABLE_NOW}" or an interval like "500 milliseconds"')
        return trigger

    @field_validator("real_time_batch")
    @classmethod
    def _check_real_time_batch(cls, batch: str) -> str:
        if _INTERVAL.fullmatch(batch) is None:
            raise ValueError('expected an interval like "5 seconds"')
        return batch

    @model_validator(mode="after")
    def _check_batch_timeout(self) -> Self:
        if self.batch_timeout <= self.transaction_timeout:
            raise ValueError(
                f"--batch-timeout: found {self.batch_timeout:g}, expected more than"
                f" --transaction-timeout {self.transaction_timeout:g}: a transaction shows no"
                " progress"
            )
        return self

    @model_validator(mode="after")
    def _check_end(self) -> Self:
        if self.ending_offsets and self.delivery != "exactly-once":
            raise ValueError(
                f"--ending-offsets: goes with --delivery exactly-once, found {self.delivery}"
            )
        return self

    @model_validator(mode="after")
    def _check_shadows(self) -> Self:
        if self.shadow and not self.shadow_topic:
            raise ValueError(
                "--shadow: found no --shadow-topic, expected a topic of their own for what shadows"
                " answer"
            )
        return self

    @model_validator(mode="after")
    def _check_acceptance(self) -> Self:
        if self.once_accept_dead_letters and not self.max_dead_letter_share:
            raise ValueError(
                "--once-accept-dead-letters: goes with --max-dead-letter-share, without which"
                " nothing is judged"
            )
        return self

    @model_validator(mode="after")
    def _check_mode(self) -> Self:
        if not self.is_real_time:
            return self
        conflicts = iter_conflicts(
            delivery=self.delivery,
            commit=self.commit,
            trigger=self._unless_default("trigger"),
            max_offsets_per_trigger=self._unless_default("max_offsets_per_trigger"),
            decoder=self.decoder,
            rival="--challenger" * bool(self.challenger) or "--shadow" * bool(self.shadow),
        )
        if found := "; ".join(conflicts):
            raise ValueError(f"--mode {REAL_TIME}: {found}")
        return self

    @property
    def is_real_time(self) -> bool:
        """Whether records are scored one by one, at least once, instead of in batches."""
        return self.mode == REAL_TIME

    @property
    def has_rivals(self) -> bool:
        """Whether a challenger or shadows score records too."""
        return bool(self.challenger or self.shadow)

    @property
    def has_shadows(self) -> bool:
        """Whether shadows score records too."""
        return bool(self.shadow)

    @property
    def output_topics(self) -> dict[str, str]:
        """The kind of messages that the job writes → their topic."""
        topics = {"predictions": self.output_topic, "dead letters": self.dead_letter_topic}
        return topics | ({"shadow answers": self.shadow_topic} if self.shadow else {})

    @property
    def committer(self) -> Committer:
        """The side that commits the messages; with at-least-once delivery, Spark's own sink."""
        return "spark" if self.delivery == "at-least-once" else self.commit

    def _unless_default(self, name: str) -> Any:
        value = getattr(self, name)
        return None if value == type(self).model_fields[name].default else value
