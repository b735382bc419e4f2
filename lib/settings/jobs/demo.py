"""Settings of ``jobs/demo.py``."""

from __future__ import annotations

from pydantic import Field, field_validator

from lib.address import Address
from lib.settings.base import ModelSettings


class DemoSettings(ModelSettings):
    """Show it all: records through a real Kafka, scored by Spark, back exactly once.

    Starts an embedded broker, or uses that of KAFKA_BOOTSTRAP_SERVERS.
    """

    count: int = Field(20_000, ge=1, description="records that are sent at once")
    bad_share: float = Field(0.01, ge=0.0, le=1.0, description="share of records that are broken")
    steady_rate: float = Field(
        200.0, gt=0.0, description="records per second while the latency is measured"
    )
    steady_count: int = Field(
        2_400, ge=2, description="records of that time; the second half of them is measured"
    )
    trigger: str = Field("0 milliseconds", description="of the job, as with its --trigger")
    keep: bool = Field(False, description="go on until Ctrl-C, for trials of your own")
    console: str = Field(
        "127.0.0.1:8080",
        description="HOST:PORT of the job's page, or another port where a program listens there;"
        " no page if empty",
    )
    open: bool = Field(False, description="show the page in the browser as soon as it is there")

    @field_validator("console")
    @classmethod
    def _check_console(cls, address: str) -> str:
        if address and not Address.parse(address).is_loopback:
            raise ValueError("expected an address of this machine, like 127.0.0.1:8080")
        return address
