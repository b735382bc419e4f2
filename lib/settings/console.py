"""Settings of the page that shows a running job."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from lib.address import Address
from lib.settings.base import JobSettings


class ConsoleSettings(JobSettings):
    """The settings of the page. It reads and shows, and changes nothing."""

    console: str = Field(
        "",
        description="HOST:PORT at which the job shows itself as a page, like 127.0.0.1:8080; see"
        " docs/console.md",
    )
    console_token_file: Path | None = Field(
        None,
        description="file with the token that viewers of the page must know, closed to others;"
        " needed where other machines reach the page",
    )
    console_names: list[str] = Field(
        [],
        description="host names by which browsers reach the page, where they are not the machine's"
        " own, such as that of a proxy; repeatable",
    )
    console_shows_records: bool = Field(
        False,
        description="let viewers of the page search for the answer to a record by its key; without"
        " it the page never shows contents of records",
    )

    @field_validator("console")
    @classmethod
    def _check_console(cls, address: str) -> str:
        if address:
            Address.parse(address)
        return address

    @model_validator(mode="after")
    def _check_page(self) -> Self:
        given = {
            "--console-token-file": self.console_token_file is not None,
            "--console-names": bool(self.console_names),
            "--console-shows-records": self.console_shows_records,
        }
        if not self.console:
            for flag, is_given in given.items():
                if is_given:
                    raise ValueError(f"{flag}: goes with --console HOST:PORT, which is not given")
        elif self.console_token_file is None and not Address.parse(self.console).is_loopback:
            raise ValueError(
                f"--console {self.console}: other machines can reach this address, so expected"
                " --console-token-file FILE too; or name 127.0.0.1"
            )
        return self
