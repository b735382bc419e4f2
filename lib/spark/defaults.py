"""The delivered settings of Spark, for what is started without spark-submit."""

from __future__ import annotations

from pathlib import Path

from lib.setup.places import CONF

PATH = CONF / "spark-defaults.conf"


def read_spark_defaults(path: Path = PATH) -> dict[str, str]:
    """The settings that the wrapper passes to spark-submit: key → value, "" where it has none."""
    lines = (line.strip() for line in path.read_text().splitlines())
    pairs = (line.split(None, 1) for line in lines if line and not line.startswith("#"))
    return {pair[0]: pair[1] if len(pair) > 1 else "" for pair in pairs}
