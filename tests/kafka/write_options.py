"""Bring the lists of lib/kafka/options up to date: ``python -m tests.kafka.write_options``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import confluent_kafka
from pyspark.sql import SparkSession

from lib.setup.launch import build_local_settings, build_variables, lend_variables
from lib.setup.places import PROJECT_ROOT
from tests.kafka.client_options import read_java_options, read_librdkafka_options

FOLDER = PROJECT_ROOT / "lib" / "kafka" / "options"
_BY = "Written by ``python -m tests.kafka.write_options``."


def write_librdkafka() -> Path:
    with tempfile.TemporaryDirectory() as folder:
        options, aliases = read_librdkafka_options(Path(folder))
    path = FOLDER / "librdkafka_list.py"
    path.write_text(
        f'"""The options of librdkafka that are text, by its own list.\n\n{_BY}\n"""\n\n'
        "from __future__ import annotations\n\n"
        f'VERSION = "{confluent_kafka.libversion()[0]}"\n\n'
        "#: Name of an option → type of its values.\n"
        f"OPTIONS = {dict(sorted(options.items()))}\n\n"
        "#: Another name of an option → its name.\n"
        f"ALIASES = {dict(sorted(aliases.items()))}\n"
    )
    return path


def write_java() -> Path:
    with lend_variables(build_variables({})):
        builder = SparkSession.builder.appName("options")
        for key, value in build_local_settings().items():
            builder = builder.config(key, value)
        spark = builder.getOrCreate()
    version, options = read_java_options(spark)
    spark.stop()
    path = FOLDER / "java_list.py"
    path.write_text(
        f'"""The options of Kafka\'s Java clients, by their own lists.\n\n{_BY}\n"""\n\n'
        "from __future__ import annotations\n\n"
        f'VERSION = "{version}"\n\n'
        "#: Name of an option of a consumer, producer or admin client → (type, rule).\n"
        f"OPTIONS: dict[str, tuple[str, str]] = {dict(sorted(options.items()))}\n"
    )
    return path


def main() -> None:
    written = [write_librdkafka(), write_java()]
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", *map(str, written)], check=True)


if __name__ == "__main__":
    main()
