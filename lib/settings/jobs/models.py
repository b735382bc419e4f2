"""Settings of ``jobs/models.py``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from lib.kafka.partitions import MOMENTS, parse_moment
from lib.settings.base import IN_PLACE, BackendChoice, KafkaSettings, LoadingSettings

Command = Literal[
    "list",
    "show",
    "promote",
    "rollback",
    "delete",
    "try",
    "set-threshold",
    "export",
    "import",
    "add",
    "compare",
]
_NAMES = "one NAME@VERSION or NAME@champion"
# Command → what it takes behind it, and the smallest and the largest number of it.
_TAKES: dict[str, tuple[str, int, int]] = {
    "list": ("the NAME of one model, or nothing for all", 0, 1),
    "show": (_NAMES, 1, 1),
    "promote": (_NAMES, 1, 1),
    "rollback": ("the NAME of one model", 1, 1),
    "delete": (_NAMES, 1, 1),
    "set-threshold": (_NAMES, 1, 1),
    "export": (_NAMES, 1, 1),
    "import": ("one archive of export, or models:/NAME@ALIAS", 1, 1),
    "compare": (
        "two models, each NAME@VERSION, NAME@champion or a path; with --from-topics none are all",
        2,
        2,
    ),
    "add": ("the files of one model, one for each backend", 1, 9),
    "try": ("one NAME@VERSION, NAME@champion or path of a model", 1, 1),
}


class ModelsSettings(KafkaSettings, LoadingSettings):
    """Manage the versions of the models in a store.

    list [NAME]             the versions side by side
    show NAME@VERSION       all that is known of a version
    promote NAME@VERSION    make it the champion, which jobs that run take too
    rollback NAME           make the champion before the present one the champion again
    delete NAME@VERSION     delete a version that is neither the champion nor the newest
    compare A B             compare metrics and, on records of --data or --topic, predictions
    compare --from-topics   compare the predictions of a job with the answers of its shadows, or of
                            its challenger; [A B] chooses two models
    try NAME@VERSION        score the records of a file (--data), without Kafka
    set-threshold NAME@VERSION   save the same files as a new version with another --threshold
    export NAME@VERSION     write the version into an archive
    import ARCHIVE          save the version of an archive under a new number
    import models:/NAME@ALIAS    or models:/NAME/VERSION: add a model that is registered on the
                            server of MLflow that MLFLOW_TRACKING_URI names
    add FILE…               save a model that was made elsewhere as a version: a joblib, ONNX or SQL
                            file, a PipelineModel's folder, one of MLflow's, models:/NAME@ALIAS, or
                            several of these for one model
    """

    command: Annotated[Command, IN_PLACE] = Field(
        "list",
        description="list, show, promote, rollback, delete, try, set-threshold, export, import,"
        " add or compare, as above",
    )
    names: Annotated[list[str], IN_PLACE] = Field(
        default_factory=list, description="the model, version or files that are meant, as above"
    )
    name: str | None = Field(
        None, description="name of the model that add or import saves; its own where not given"
    )
    data: Path | None = Field(
        None,
        description="records for try and compare: a CSV or Parquet file with the contract's"
        " columns, or a file of JSON lines; for add a CSV file with the label too, to measure on",
    )
    topic: str | None = Field(None, description="topic whose newest records compare takes")
    count: int | None = Field(
        None,
        ge=1,
        description="largest number of messages of a topic that compare takes, the newest; 10,000"
        " records, or with --from-topics 200,000 answers of models, where not given",
    )
    from_topics: bool = Field(
        False, description="let compare take what models have answered on the topics of a job"
    )
    output_topic: str | None = Field(
        None,
        description="with --from-topics: topic of predictions; the contract's own where not given",
    )
    shadow_topic: str | None = Field(
        None,
        description="with --from-topics: topic of shadows' answers; where not given, the models of"
        " the topic of predictions are compared, a challenger for one, each on its own records",
    )
    since: str = Field("", description=f"with --from-topics: scored then or later: {MOMENTS}")
    until: str = Field("", description="with --from-topics: scored earlier; the same forms")
    outcomes: Path | None = Field(
        None,
        description="with --from-topics: CSV or Parquet file of outcomes, with the contract's"
        " identifier and label, and outcome_ts",
    )
    outcomes_topic: str | None = Field(
        None, description="with --from-topics: topic of outcomes, JSON with the same fields"
    )
    segments: list[str] = Field(
        [],
        description="with --shadow-topic: fields of the records by which the comparison is divided"
        " too: A,B,C; repeatable",
    )
    input_topic: str | None = Field(
        None,
        description="with --segments: topic of the records; the contract's own where not given",
    )
    tolerance: float | None = Field(
        None,
        ge=0,
        description="for compare of two stored versions, or by outcomes: the most by which a metric"
        " of the second may be worse than of the first; beyond it the exit code is 1",
    )
    expect: Path | None = Field(
        None,
        description="records with their maker's probabilities in a column 'probability', which add"
        " compares with the model's own",
    )
    trust: bool = Field(
        False, description="let add or import load a file that can run its maker's code"
    )
    backend: BackendChoice = Field(
        "auto", description="auto takes the first that the model has and that needs no JVM"
    )
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="probability from which the prediction is the positive label",
    )
    output: str | None = Field(
        None,
        description="file that export writes, NAME-VERSION.tar.gz where not given; or the report of"
        " --from-topics as FILE.json, FILE.md or both: A.json,A.md",
    )
    overwrite: bool = Field(False, description="let --output replace a file that is there")

    @field_validator("since", "until")
    @classmethod
    def _check_moment(cls, moment: str) -> str:
        if moment:
            parse_moment(moment, datetime.now(UTC))
        return moment

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        what, least, most = _TAKES[self.command]
        if self.from_topics:
            self._check_topics()
            least = 2 if self.names else 0
        if not least <= len(self.names) <= most:
            found = " ".join(self.names) or "nothing"
            raise ValueError(f"{self.command} takes {what}, found {found}")
        if self.command == "try" and self.data is None:
            raise ValueError("try needs --data FILE")
        if self.command == "compare" and self.data is not None and self.topic is not None:
            raise ValueError("compare takes --data or --topic, found both")
        if self.command == "set-threshold" and self.threshold is None:
            raise ValueError("set-threshold needs --threshold")
        return self

    def _check_topics(self) -> None:
        if self.command != "compare":
            raise ValueError(f"--from-topics goes with compare only, found {self.command}")
        if self.data is not None or self.topic is not None:
            raise ValueError("compare takes --from-topics or records, found both")
        if self.outcomes is not None and self.outcomes_topic:
            raise ValueError("compare takes --outcomes or --outcomes-topic, found both")
        if self.segments and not self.shadow_topic:
            raise ValueError("--segments goes with --shadow-topic: only pairs are divided")
        if self.tolerance is not None and self.outcomes is None and not self.outcomes_topic:
            raise ValueError("--tolerance needs --outcomes or --outcomes-topic with --from-topics")
