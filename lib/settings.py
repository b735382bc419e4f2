"""Settings of the jobs: TOML file < environment < command line.

Every field is a flag (``input_topic`` is ``--input-topic``), a variable (``SCORE_INPUT_TOPIC``) and
a key of the file that ``--config`` names.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    CliSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from lib.errors import SettingsError
from lib.kafka_options import check_options
from lib.kafka_secrets import (
    is_secret,
    read_secret_file,
    refuse_if_readable,
    refuse_on_command_line,
)
from lib.real_time import REAL_TIME, iter_conflicts
from lib.sources.partitions import ALL_PARTITIONS, parse_partitions

ENVIRONMENT_PREFIX = "SCORE_"
AVAILABLE_NOW = "available-now"
_INTERVAL = re.compile(r"\d+ (millisecond|second|minute|hour)s?")

Delivery = Literal["exactly-once", "at-least-once"]
Mode = Literal["micro-batch", "real-time"]
Commit = Literal["driver", "executor"]
BackendChoice = Literal["auto", "sql", "onnx", "spark", "sklearn"]
OnnxProvider = Literal["cpu", "cuda"]


class JobSettings(BaseSettings):
    """What every job takes."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        extra="forbid",
        frozen=True,
        # `model` is the field's proper name here; pydantic guards names that begin with model_.
        protected_namespaces=(),
    )

    config: Path | None = Field(None, description="TOML file with any of these settings")
    verbose: bool = Field(False, description="log more, and show tracebacks")


class ModelSettings(JobSettings):
    """Which model scores."""

    store: Path = Field(Path("models"), description="folder of the model store")
    model: str = Field(
        "churn@champion", description="NAME@champion, NAME@VERSION, or a path to a model"
    )
    backend: BackendChoice = Field(
        "auto",
        description="auto takes the first that the model has of onnx (not on a cluster), sql and"
        " spark, and falls back to sklearn",
    )
    onnx_provider: OnnxProvider = Field(
        "cpu", description="what onnxruntime runs on; cuda needs onnxruntime-gpu and a GPU"
    )


class KafkaSettings(JobSettings):
    """Which Kafka, and how to reach it."""

    bootstrap_servers: str = Field(
        "localhost:9092",
        description="host:port[,host:port...]; also from KAFKA_BOOTSTRAP_SERVERS",
    )
    kafka: dict[str, str] = Field(
        default_factory=dict,
        # Whoever prints settings must not print passwords.
        repr=False,
        description="KEY=VALUE for every Kafka client, like security.protocol=SSL; repeatable,"
        " and no secrets on a command line",
    )
    kafka_secrets: Path | None = Field(
        None, description="TOML file with more of them, closed to others: passwords, keys"
    )

    @field_validator("kafka")
    @classmethod
    def _check_kafka(cls, options: dict[str, str]) -> dict[str, str]:
        check_options(options)
        return options


class ScoreStreamSettings(KafkaSettings, ModelSettings):
    """Score a Kafka topic of customers, exactly once."""

    input_topic: str = Field("telco.raw.customers", description="topic of customer records")
    output_topic: str = Field("telco.churn.predictions", description="topic for predictions")
    dead_letter_topic: str = Field(
        "telco.deadletter", description="topic for records that cannot be scored"
    )
    dead_letter_format: Literal["headers", "envelope"] = Field(
        "headers",
        description="headers: original bytes, the error in headers; envelope: a JSON value",
    )
    query_name: str = Field(
        "churn-scoring",
        pattern=r"^[A-Za-z0-9._-]{1,200}$",
        description="consumer group and transactional id; one running job for each",
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
        "5 seconds",
        description="time between checkpoints in real-time mode: what a crash repeats at most; its"
        " end is a pause",
    )
    checkpoint: str = Field(
        "checkpoints/churn-scoring", description="path or URL of Spark's checkpoint"
    )
    starting_offsets: Literal["earliest", "latest"] = Field(
        "earliest", description="where the very first start begins"
    )
    max_offsets_per_trigger: int = Field(
        100_000, ge=1, description="largest batch, in records; bounds the driver's memory"
    )
    accept_offsets: bool = Field(
        False,
        description="take the group's offsets for right, whoever has committed them; for one start",
    )
    restart_limit: int = Field(
        10,
        ge=0,
        description="how often in a row, without a finished batch between, a query that failed for"
        " a passing reason is started again",
    )

    @field_validator("partitions")
    @classmethod
    def _check_partitions(cls, partitions: str) -> str:
        parse_partitions(partitions)
        return partitions

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
    def _check_mode(self) -> Self:
        if self.mode != REAL_TIME:
            return self
        conflicts = iter_conflicts(
            delivery=self.delivery,
            commit=self.commit,
            trigger=self._unless_default("trigger"),
            max_offsets_per_trigger=self._unless_default("max_offsets_per_trigger"),
        )
        if found := "; ".join(conflicts):
            raise ValueError(f"--mode {REAL_TIME}: {found}")
        return self

    def _unless_default(self, name: str) -> Any:
        value = getattr(self, name)
        return None if value == type(self).model_fields[name].default else value


Settings = TypeVar("Settings", bound=JobSettings)


def load_settings(
    kind: type[Settings], arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> Settings:
    """Read a job's settings from all three places.

    Args:
        kind: the job's settings class; its docstring and fields make up ``--help``.
        arguments: the command line without the program's name.
        environment: variables; those of this process by default.

    Raises:
        SettingsError: unknown key, unreadable file or invalid value, with the place it came from.
        SystemExit: for ``--help``, and for flags that do not exist.
    """
    variables = os.environ if environment is None else environment
    early, remaining = _parse_early(arguments)
    refuse_on_command_line(_guess_keys(remaining))
    file = _read_file(early.config or variables.get(f"{ENVIRONMENT_PREFIX}CONFIG"))
    _check_keys(kind, file)
    found = _read_environment(kind, variables)
    chosen = file | found
    if "kafka" in kind.model_fields:
        if early.kafka_secrets is not None:
            chosen["kafka_secrets"] = early.kafka_secrets
        flags = _read_pairs(early.kafka)
        refuse_on_command_line(flags)
        secrets = chosen.get("kafka_secrets")
        # Added up, so that a password may come from a place of its own and all else from the file.
        parts = (
            file.get("kafka", {}),
            {} if secrets is None else read_secret_file(Path(str(secrets))),
            found.get("kafka", {}),
            flags,
        )
        chosen["kafka"] = {key: value for part in parts for key, value in part.items()}

    class Loaded(kind):  # type: ignore[valid-type, misc]
        """Adds the command line above what the caller found."""

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: Any, **_: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return CliSettingsSource(
                settings_cls,
                cli_parse_args=remaining,
                cli_kebab_case=True,
                cli_implicit_flags=True,
                cli_hide_none_type=True,
                cli_avoid_json=True,
            ), init_settings

    Loaded.__doc__ = kind.__doc__
    try:
        return kind.model_validate(Loaded(**chosen).model_dump())
    except ValidationError as error:
        raise SettingsError(_describe(error)) from error


def _parse_early(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """Take out what the settings library cannot: the file it reads, and values with commas."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    parser.add_argument("--kafka", action="append", default=[])
    parser.add_argument("--kafka-secrets")
    return parser.parse_known_args(list(arguments))


def _guess_keys(arguments: Sequence[str]) -> Iterator[str]:
    """Names of Kafka options behind a flag that was misspelled: the usage error would show them."""
    for argument in arguments:
        for key in argument.split("=")[:-1]:
            if "." in key and "/" not in key:
                yield key.lstrip("-")


def _read_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with Path(path).open("rb") as file:
            values = tomllib.load(file)
        options = values.get("kafka")
        if isinstance(options, dict) and any(map(is_secret, options)):
            refuse_if_readable(Path(path), f"--config {path}")
        return values
    except FileNotFoundError as error:
        raise SettingsError(f"--config {path}: no such file") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"--config {path}: {error}") from error


def _check_keys(kind: type[JobSettings], file: Mapping[str, Any]) -> None:
    for key in file:
        if key not in kind.model_fields:
            close = difflib.get_close_matches(key, kind.model_fields, n=1)
            guess = f"did you mean {close[0]}?" if close else None
            raise SettingsError(f"unknown setting {key!r} in the configuration file", hint=guess)
    if not isinstance(file.get("kafka", {}), dict):
        raise SettingsError("kafka in the configuration file: expected a table, [kafka]")


def _read_environment(kind: type[JobSettings], environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "bootstrap_servers" in kind.model_fields and "KAFKA_BOOTSTRAP_SERVERS" in environment:
        found["bootstrap_servers"] = environment["KAFKA_BOOTSTRAP_SERVERS"]
    for name in kind.model_fields:
        text = environment.get(f"{ENVIRONMENT_PREFIX}{name.upper()}")
        if text is not None:
            found[name] = _read_pairs(text.split(",")) if name == "kafka" else text
    return found


def _read_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """Read KEY=VALUE pairs; never shows a value, which may be a password."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise SettingsError("--kafka: expected KEY=VALUE, found no '=' or no key")
        found[key.strip()] = value
    return found


def _describe(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        found = problem.get("input")
        is_hidden = name.startswith("kafka") or problem["type"] == "missing"
        shown = "" if is_hidden else f", found {found!r}"
        message = problem["msg"].removeprefix("Value error, ")
        # A rule for several settings has no name, and its input would be all of them.
        parts.append(f"--{name.replace('_', '-')}: {message}{shown}" if name else message)
    return "; ".join(parts)


class ReplaySettings(ModelSettings):
    """Score Parquet files with the plan of the stream, to Parquet files."""

    input: list[str] = Field(
        min_length=1,
        description="Parquet file, folder or glob; repeatable. Dumps of a topic (column value), or"
        " tables with the contract's columns",
    )
    output: str = Field(description="folder for predictions/ and dead_letters/")
    overwrite: bool = Field(False, description="replace what an earlier replay wrote to --output")
    dead_letter_format: Literal["headers", "envelope"] = Field(
        "headers",
        description="headers: original bytes, the error in headers; envelope: a JSON value",
    )

    @field_validator("input", mode="before")
    @classmethod
    def _split_input(cls, paths: object) -> object:
        return [paths] if isinstance(paths, str) else paths


class ProduceSettings(KafkaSettings):
    """Send customers to a topic: from a CSV file, or synthetic ones; some of them broken."""

    source: str = Field(
        "synthetic", description="CSV file with the contract's columns, or synthetic"
    )
    count: int | None = Field(
        None,
        ge=0,
        description="how many; 0 until Ctrl-C. Each row of a file once, or 10,000 synthetic ones,"
        " where not given; a file with fewer rows is sent again from its start",
    )
    rate: float = Field(0.0, ge=0.0, description="customers per second; 0 as fast as possible")
    bad_share: float = Field(
        0.0, ge=0.0, le=1.0, description="share of records that are broken, of every kind in turn"
    )
    seed: int = Field(1, ge=0, description="of synthetic customers and of faults")
    input_topic: str = Field("telco.raw.customers", description="topic to send to")
    create_topic: bool = Field(False, description="create the topic where it is missing")
    partitions: int = Field(4, ge=1, description="of a topic that is created")


class DemoSettings(ModelSettings):
    """Show it all: customers through a real Kafka, scored by Spark, back exactly once.

    Starts an embedded broker, or uses that of KAFKA_BOOTSTRAP_SERVERS.
    """

    count: int = Field(20_000, ge=1, description="customers that are sent at once")
    bad_share: float = Field(0.01, ge=0.0, le=1.0, description="share of records that are broken")
    steady_rate: float = Field(
        200.0, gt=0.0, description="customers per second while the latency is measured"
    )
    steady_count: int = Field(
        2_400, ge=2, description="customers of that time; the second half of them is measured"
    )
    trigger: str = Field("0 milliseconds", description="of the job, as with its --trigger")
    keep: bool = Field(False, description="go on until Ctrl-C, for trials of your own")
