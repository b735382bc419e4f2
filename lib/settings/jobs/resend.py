"""Settings of ``jobs/resend.py``, and the choice of dead letters that other commands share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import Field, field_validator

from lib.kafka.partitions import ALL_PARTITIONS, MOMENTS, parse_moment, parse_partitions
from lib.messages.dead_letter import ErrorType
from lib.messages.keys import KEYS
from lib.record.violations import Rule
from lib.settings.base import CONTRACT_OF_NAMES, OF_THE_DOMAIN
from lib.settings.topics import DistinctTopicSettings


class ChoiceSettings(DistinctTopicSettings):
    """The settings that choose dead letters."""

    dead_letter_topic: str = Field("", description=f"topic to read{OF_THE_DOMAIN}")
    input_topic: str = Field(
        "",
        description="topic of the records, to which they are sent again; dead letters of records"
        f" from other topics are left alone{OF_THE_DOMAIN}",
    )
    contract: Path | None = Field(
        None, description=f"{CONTRACT_OF_NAMES}; what would be sent again is checked against it"
    )
    error_type: tuple[ErrorType, ...] = Field(
        (), description=f"only these errors: {', '.join(ErrorType)}; repeatable"
    )
    rule: tuple[Rule, ...] = Field(
        (), description=f"only records that broke one of these: {', '.join(Rule)}; repeatable"
    )
    field: tuple[str, ...] = Field(
        (), description="only records with something wrong in one of these fields; repeatable"
    )
    key: tuple[str, ...] = Field(
        (), description=f"only records with one of these keys: {KEYS}; repeatable"
    )
    # Not "partitions", which may stand in the scoring job's file and mean what that job reads.
    source_partitions: str = Field(
        ALL_PARTITIONS,
        description="only records from these partitions of the input topic, like 0-31 or 0,2,5-7;"
        " envelopes name none",
    )
    since: str = Field("", description=f"only records that failed then or later: {MOMENTS}")
    until: str = Field("", description="only records that failed earlier; the same forms")

    @field_validator("error_type", "rule", mode="before")
    @classmethod
    def _spell_names(cls, given: Iterable[object]) -> tuple[str, ...]:
        """Read names in capitals, which is the form of ``--help``."""
        return tuple(str(name).lower() for name in given)

    @field_validator("source_partitions")
    @classmethod
    def _check_partitions(cls, partitions: str) -> str:
        parse_partitions(partitions)
        return partitions

    @field_validator("since", "until")
    @classmethod
    def _check_moment(cls, moment: str) -> str:
        if moment:
            parse_moment(moment, datetime.now(UTC))
        return moment


class ResendSettings(ChoiceSettings):
    """Send dead letters to the input topic again, each once: all of them, or those chosen."""

    max_retries: int = Field(
        1, ge=1, description="a record that was sent again this often, and came back, is left alone"
    )
    correction: Path | None = Field(
        None,
        description="Python file with a function correct(letter) that returns the value to send,"
        " or None to leave the letter alone",
    )
    resend_name: str = Field(
        "dead-letter-resend",
        description="consumer group and transactional id; remembers what has been read, so each"
        " correction wants a name of its own",
    )
    from_beginning: bool = Field(
        False,
        description="for the first run under a name: partitions that no run has read begin at their"
        " oldest letter; refused once all have been read",
    )
    dry_run: bool = Field(
        False, description="tell what would be sent; send nothing and remember nothing"
    )
