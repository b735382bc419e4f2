"""Settings of ``jobs/offsets.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from lib.kafka.partitions import ALL_PARTITIONS, POSITIONS, parse_partitions, parse_position
from lib.settings.base import CONTRACT_OF_NAMES, IN_PLACE, OF_THE_DOMAIN, KafkaSettings


class OffsetsSettings(KafkaSettings):
    """Show, set, copy or delete the positions of a query's consumer group.

    Nothing is changed while a job of that query runs. The change says what it skips or repeats;
    with --dry-run it says so, and changes nothing.
    """

    action: Annotated[Literal["show", "set", "copy", "delete"], IN_PLACE] = Field(
        "show",
        description="show; set the positions with --to; copy those of another group with"
        " --from-group; or delete the group",
    )
    query_name: str = Field(
        "", description=f"consumer group whose positions these are{OF_THE_DOMAIN}"
    )
    input_topic: str = Field("", description=f"topic that the query reads{OF_THE_DOMAIN}")
    contract: Path | None = Field(None, description=CONTRACT_OF_NAMES)
    partitions: str = Field(
        ALL_PARTITIONS, description="all, or those that are meant, like 0-31 or 0,2,5-7"
    )
    to: str = Field("", description=f"where set puts the positions: {POSITIONS}")
    from_group: str = Field("", description="group whose positions copy takes")
    dry_run: bool = Field(False, description="tell what would change, and change nothing")

    @field_validator("partitions")
    @classmethod
    def _check_partitions(cls, partitions: str) -> str:
        parse_partitions(partitions)
        return partitions

    @field_validator("to")
    @classmethod
    def _check_to(cls, to: str) -> str:
        if to:
            parse_position(to)
        return to

    @model_validator(mode="after")
    def _check_action(self) -> Self:
        for flag, value, action in (
            ("--to", self.to, "set"),
            ("--from-group", self.from_group, "copy"),
        ):
            if self.action == action and not value:
                raise ValueError(f"{action} needs {flag}")
            if self.action != action and value:
                raise ValueError(f"{flag} goes with {action} only, found {self.action}")
        if self.action == "copy" and self.from_group == self.query_name:
            raise ValueError("--from-group and --query-name are the same group")
        return self
