"""Settings of ``jobs/dead_letters.py``."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lib.settings.base import IN_PLACE, name_flag
from lib.settings.jobs.resend import ResendSettings

_PLACE = re.compile(r"(\d{1,9})@(\d{1,18})", re.ASCII)
# Those that only resend takes, and that say of another command that something else was meant.
_OF_RESEND = ("correction", "from_beginning", "dry_run")


class DeadLettersSettings(ResendSettings):
    """Count, list and show dead letters, and send their records again.

    stats                   how many broke which rule in which field, since when, and the newest
    list                    a line for each, the newest last
    show PARTITION@OFFSET   one of them: its headers, and its record with what is wrong marked; all
                            that are chosen, by --key for instance, where no place is given
    resend                  send the records to the input topic again, each once, as jobs/resend.py

    All four take the same choice: --rule, --field, --error-type, --key, --source-partitions,
    --since and --until. The topic is read up to its present end, and only what is committed.
    """

    command: Annotated[Literal["stats", "list", "show", "resend"], IN_PLACE] = Field(
        "stats", description="stats, list, show or resend, as above"
    )
    places: Annotated[list[str], IN_PLACE] = Field(
        default_factory=list, description="the letters that show takes, each as PARTITION@OFFSET"
    )
    limit: int = Field(20, ge=1, description="list and show take the newest so many")
    format: Literal["text", "json"] = Field(
        "text",
        description="text for people; json for programs: one object for stats, a line with an"
        " object for each letter or count",
    )

    @model_validator(mode="after")
    def _check_command(self) -> Self:
        if self.places and self.command != "show":
            raise ValueError(f"{self.command} takes no place, found {' '.join(self.places)}")
        for place in self.places:
            if _PLACE.fullmatch(place) is None:
                raise ValueError(f"show takes PARTITION@OFFSET, like 0@19, found {place}")
        for name in _OF_RESEND:
            if self.command != "resend" and getattr(self, name):
                raise ValueError(f"{name_flag(name)} goes with resend only, found {self.command}")
        return self

    @property
    def positions(self) -> list[tuple[int, int]]:
        """The (partition, offset) of each place."""
        found = (place.split("@") for place in self.places)
        return [(int(partition), int(offset)) for partition, offset in found]
