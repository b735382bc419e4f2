"""Settings of ``jobs/models.py``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lib.settings.base import IN_PLACE, JobSettings

Command = Literal["list", "show", "promote", "rollback", "delete"]
_NAMES = "one NAME@VERSION or NAME@champion"
# Command → what it takes behind it, and the smallest and the largest number of it.
_TAKES: dict[str, tuple[str, int, int]] = {
    "list": ("the NAME of one model, or nothing for all", 0, 1),
    "show": (_NAMES, 1, 1),
    "promote": (_NAMES, 1, 1),
    "rollback": ("the NAME of one model", 1, 1),
    "delete": (_NAMES, 1, 1),
}


class ModelsSettings(JobSettings):
    """List, show, promote, take back and delete the versions of the models in a store.

    list [NAME]             the versions side by side
    show NAME@VERSION       all that is known of a version
    promote NAME@VERSION    make it the champion, which jobs take from their next start on
    rollback NAME           make the champion before the present one the champion again
    delete NAME@VERSION     delete a version that is neither the champion nor the newest
    """

    command: Annotated[Command, IN_PLACE] = Field(
        "list", description="list, show, promote, rollback or delete"
    )
    names: Annotated[list[str], IN_PLACE] = Field(
        default_factory=list, description="the model or version that is meant, as NAME@VERSION"
    )
    store: Path = Field(Path("models"), description="folder of the model store")

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        what, least, most = _TAKES[self.command]
        if not least <= len(self.names) <= most:
            found = " ".join(self.names) or "nothing"
            raise ValueError(f"{self.command} takes {what}, found {found}")
        return self
