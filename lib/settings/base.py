"""Settings that several jobs share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from lib.kafka.cluster import Cluster, check_options
from lib.messages.header_names import (
    CONNECT_PREFIX,
    SCORING_PREFIX,
    TRACE_HEADERS,
    can_be_carried,
)
from lib.score.registry import DEFAULT, rank_backends

ENVIRONMENT_PREFIX = "SCORE_"
#: Metadata of a setting whose value stands on the command line without a flag.
IN_PLACE = object()
#: The end of the description of a setting whose default is the domain's own name.
OF_THE_DOMAIN = "; the contract's own where not given"
CONTRACT_OF_RECORDS = (
    "TOML file that says what a record looks like; the only one in conf/contracts where not given"
)
CONTRACT_OF_NAMES = (
    "TOML file whose domain's topics are meant; the only one in conf/contracts where not given"
)

if TYPE_CHECKING:
    BackendChoice = str
else:
    BackendChoice = Literal[("auto", *(kind.name for kind in rank_backends()))]
DecoderChoice = Literal["auto", "spark", "python"]
# Transactions of the driver or the executors commit the messages, or Spark's own sink does.
Committer = Literal["driver", "executor", "spark"]
OnnxProvider = Literal["cpu", "cuda"]


_NATIVE = [kind for kind in rank_backends() if kind.is_native]


def _list_for_auto() -> str:
    """List in a phrase the backends that ``--backend auto`` tries before the default."""
    tried = [
        kind.name if kind.is_native else f"{kind.name} (not on a cluster)"
        for kind in rank_backends()
        if kind.is_automatic and kind.name != DEFAULT
    ]
    return f"{', '.join(tried[:-1])} and {tried[-1]}"


def name_flag(setting: str) -> str:
    """Return the flag of a setting: ``--input-topic`` for ``input_topic``."""
    return f"--{setting.replace('_', '-')}"


def name_variable(setting: str) -> str:
    """Return the variable of a setting: ``SCORE_INPUT_TOPIC`` for ``input_topic``."""
    return f"{ENVIRONMENT_PREFIX}{setting.upper()}"


class JobSettings(BaseModel):
    """The settings that all jobs have. Only ``lib.settings.load`` reads files and variables."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # `model` is the field's proper name here; pydantic guards names that begin with model_.
        protected_namespaces=(),
    )

    config: Path | None = Field(None, description="TOML file with any of these settings")
    verbose: bool = Field(False, description="log more, and show tracebacks")
    log_format: Literal["text", "json"] = Field(
        "text", description="form of the log; json: an object a line, see docs/monitoring.md"
    )


class LoadingSettings(JobSettings):
    """The settings that say what a model outside a store does not tell itself."""

    store: Path = Field(Path("models"), description="folder of the model store")
    contract: Path | None = Field(
        None,
        description="TOML file of the contract, for a model outside a store; a stored version"
        " carries its own",
    )
    positive_class: str = Field(
        "",
        description="the model's name of the class that the contract's positive label means, for a"
        " model outside a store whose classes are neither the contract's labels nor 0 and 1",
    )
    columns: list[str] = Field(
        [],
        description="names of the columns in the order in which a model outside a store takes"
        " them, if it was fitted without names: A,B,C; repeatable",
    )
    preprocessor: Path | None = Field(
        None,
        description="joblib file of a fitted transformer that comes before the model, for a"
        f" {DEFAULT} model outside a store that was saved in two files",
    )


class ModelSettings(LoadingSettings):
    """The settings that name the model."""

    model: str = Field(
        "",
        description="NAME@champion, NAME@VERSION, or a path to a model; the champion of the only"
        " model in the store where not given",
    )
    backend: BackendChoice = Field(
        "auto",
        description=f"auto takes the first that the model has of {_list_for_auto()}, and falls back"
        f" to {DEFAULT}",
    )
    onnx_provider: OnnxProvider = Field(
        "cpu", description="what onnxruntime runs on; cuda needs onnxruntime-gpu and a GPU"
    )

    @property
    def is_real_time(self) -> bool:
        """Whether records pass one by one, for which Spark takes no Python workers."""
        return False

    @property
    def has_rivals(self) -> bool:
        """Whether other models score the same records."""
        return False

    @property
    def has_shadows(self) -> bool:
        """Whether some of them answer beside the champion, for which Spark takes Python workers."""
        return False


class PlanSettings(ModelSettings):
    """The settings that decide how records become messages."""

    decoder: DecoderChoice = Field(
        "auto",
        description="who reads and checks records for a model in Spark's JVM"
        f" ({', '.join(kind.name for kind in _NATIVE)}): spark is the JVM, python are Python"
        " workers, which are faster, and auto takes those for"
        f" {', '.join(kind.name for kind in _NATIVE if kind.workers_decode)} in micro-batches, not"
        " on a cluster; for other models these always do",
    )
    model_failure_limit: float = Field(
        0.9,
        gt=0,
        le=1,
        description="share of failing records, of at least 200 that a Python worker has scored, at"
        " which the job stops instead of making dead letters of them; 1 for never",
    )
    reasons: int = Field(
        0,
        ge=0,
        description="number of fields that each prediction names because they moved its score most;"
        " for a stored version of a linear model",
    )
    dead_letter_format: Literal["headers", "envelope"] = Field(
        "headers",
        description="headers: original bytes, the error in headers; envelope: a JSON value",
    )
    carry_headers: list[str] = Field(
        [],
        description="headers that a prediction takes from its record, byte for byte, beside"
        f" {' and '.join(TRACE_HEADERS)}: NAME,NAME; repeatable",
    )

    @field_validator("carry_headers")
    @classmethod
    def _check_carried(cls, names: list[str]) -> list[str]:
        if not all(map(can_be_carried, names)):
            raise ValueError(
                "expected names of headers without spaces around them, and none that begins with"
                f" {CONNECT_PREFIX} or {SCORING_PREFIX}, which dead letters get from the job"
            )
        return names

    @property
    def carried_headers(self) -> tuple[str, ...]:
        """The names of all headers that a prediction takes from its record."""
        return (*TRACE_HEADERS, *self.carry_headers)

    @property
    def committer(self) -> Committer:
        """The side that commits the messages."""
        return "spark"


class KafkaSettings(JobSettings):
    """The settings that name the Kafka cluster."""

    bootstrap_servers: str = Field(
        "localhost:9092",
        description="host:port[,host:port...]; also from KAFKA_BOOTSTRAP_SERVERS",
    )
    kafka: dict[str, str] = Field(
        default_factory=dict,
        # Printed settings must not show passwords.
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

    @property
    def cluster(self) -> Cluster:
        """The brokers that these settings name."""
        return Cluster(self.bootstrap_servers, self.kafka)
