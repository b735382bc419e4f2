"""Settings of ``jobs/resend.py``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, field_validator

from lib.messages.dead_letter import ErrorType
from lib.record.violations import Rule
from lib.settings.base import CONTRACT_OF_NAMES, OF_THE_DOMAIN
from lib.settings.topics import DistinctTopicSettings


class ResendSettings(DistinctTopicSettings):
    """Send dead letters to the input topic again, each once: all of them, or those chosen."""

    dead_letter_topic: str = Field("", description=f"topic to read{OF_THE_DOMAIN}")
    input_topic: str = Field(
        "",
        description="topic to send to; dead letters of records from other topics are left alone"
        f"{OF_THE_DOMAIN}",
    )
    contract: Path | None = Field(None, description=CONTRACT_OF_NAMES)
    error_type: tuple[ErrorType, ...] = Field(
        (), description=f"only these errors: {', '.join(ErrorType)}; repeatable"
    )
    rule: tuple[Rule, ...] = Field(
        (), description=f"only records that broke one of these: {', '.join(Rule)}; repeatable"
    )
    field: tuple[str, ...] = Field(
        (), description="only records with something wrong in one of these fields; repeatable"
    )
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

    @field_validator("error_type", "rule", mode="before")
    @classmethod
    def _spell_names(cls, given: Iterable[object]) -> tuple[str, ...]:
        """Read names in capitals, which is the form of ``--help``."""
        return tuple(str(name).lower() for name in given)
