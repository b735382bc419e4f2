"""The delivered settings of Spark."""

from __future__ import annotations

from pathlib import Path

from lib.spark.defaults import read_spark_defaults


def test_spark_defaults_are_read_without_comments(tmp_path: Path) -> None:
    path = tmp_path / "spark-defaults.conf"
    path.write_text("# why\nspark.driver.memory   2g\n\nspark.empty\n")

    assert read_spark_defaults(path) == {"spark.driver.memory": "2g", "spark.empty": ""}
