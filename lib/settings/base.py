"""Settings that several jobs share."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from lib.kafka.cluster import Cluster, check_options

ENVIRONMENT_PREFIX = "SCORE_"
#: Ends the description of a setting whose default is the domain's own name.
OF_THE_DOMAIN = "; the contract's own where not given"
CONTRACT_OF_RECORDS = (
    "TOML file that says what a record looks like; the only one in conf/contracts where not given"
)
CONTRACT_OF_NAMES = (
    "TOML file whose domain's topics are meant; the only one in conf/contracts where not given"
)

BackendChoice = Literal["auto", "onnx", "sql", "spark", "sklearn"]
DecoderChoice = Literal["auto", "spark", "python"]
OnnxProvider = Literal["cpu", "cuda"]


def name_flag(setting: str) -> str:
    """The flag of a setting: ``--input-topic`` of ``input_topic``."""
    return f"--{setting.replace('_', '-')}"


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
        "",
        description="NAME@champion, NAME@VERSION, or a path to a model; the champion of the only"
        " model in the store where not given",
    )
    backend: BackendChoice = Field(
        "auto",
        description="auto takes the first that the model has of onnx (not on a cluster), sql and"
        " spark, and falls back to sklearn",
    )
    contract: Path | None = Field(
        None,
        description="TOML file of the contract, for a model outside a store; a stored version"
        " carries its own",
    )
    onnx_provider: OnnxProvider = Field(
        "cpu", description="what onnxruntime runs on; cuda needs onnxruntime-gpu and a GPU"
    )


class PlanSettings(ModelSettings):
    """How records become messages."""

    decoder: DecoderChoice = Field(
        "auto",
        description="who reads and checks records for a model in Spark's JVM (sql, spark): spark is"
        " the JVM, python are Python workers, which are faster, and auto takes those for spark in"
        " micro-batches, not on a cluster; for other models these always do",
    )
    dead_letter_format: Literal["headers", "envelope"] = Field(
        "headers",
        description="headers: original bytes, the error in headers; envelope: a JSON value",
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

    @property
    def cluster(self) -> Cluster:
        """The brokers that these settings name."""
        return Cluster(self.bootstrap_servers, self.kafka)
