"""The options of the installed Kafka clients, asked from the clients themselves."""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import Any

import confluent_kafka
from py4j.java_gateway import get_field  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

# A row of librdkafka's own table: name, and the description, which ends with the type.
_ROW = re.compile(
    r"^(?P<name>[a-z0-9_.]+) +\|.*\| (?P<description>[^|]*)\*Type: (?P<type>[^*|]+)\*$"
)
_ALIAS = re.compile(r"Alias for `(?P<name>[^`]+)`")
# Options that are functions or objects, and that no text can set.
_NO_TEXT = "see dedicated API"


def read_librdkafka_options(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Read (name → type, alias → name) of the librdkafka that confluent-kafka brings with it.

    The library writes the table to a file in ``folder``.
    """
    package = Path(confluent_kafka.__file__).parent
    (path,) = (package.with_name(f"{package.name}.libs")).glob("librdkafka*.so*")
    library, system = ctypes.CDLL(str(path)), ctypes.CDLL(None)
    system.fopen.restype = ctypes.c_void_p
    system.fclose.argtypes = [ctypes.c_void_p]
    library.rd_kafka_conf_properties_show.argtypes = [ctypes.c_void_p]
    table = folder / "options.md"
    file = system.fopen(str(table).encode(), b"w")
    library.rd_kafka_conf_properties_show(file)
    system.fclose(file)
    rows = [row for line in table.read_text().splitlines() if (row := _ROW.match(line))]
    rows = [row for row in rows if row["type"] != _NO_TEXT]
    aliases = {
        row["name"]: alias["name"] for row in rows if (alias := _ALIAS.match(row["description"]))
    }
    return {row["name"]: row["type"] for row in rows}, aliases


def list_java_definitions(spark: SparkSession) -> list[Any]:
    """List the ``ConfigDef`` of consumer, producer and admin client of a session's class path."""
    clients: Any = spark._jvm.org.apache.kafka.clients  # type: ignore[union-attr]
    kinds = (clients.consumer.ConsumerConfig, clients.producer.ProducerConfig)
    return [kind.configDef() for kind in (*kinds, clients.admin.AdminClientConfig)]


def read_java_options(spark: SparkSession) -> tuple[str, dict[str, tuple[str, str]]]:
    """Read (version, name → (type, rule)) of the Java clients on the class path of a session."""
    found: dict[str, tuple[str, str]] = {}
    for definition in list_java_definitions(spark):
        for key in definition.configKeys().values():
            if get_field(key, "internalConfig"):
                continue
            validator = get_field(key, "validator")
            rule = "" if validator is None else _sort_names(validator.toString())
            # A consumer and a producer have the same rules for the names that they share.
            found.setdefault(get_field(key, "name"), (get_field(key, "type").toString(), rule))
    version: str = spark._jvm.org.apache.kafka.common.utils.AppInfoParser.getVersion()  # type: ignore[union-attr]
    return version, found


def _sort_names(rule: str) -> str:
    """Sort the names of a rule, whose order is not the same in every process."""
    begin, bracket, rest = rule.partition("[")
    if not bracket or "..." in rest:
        return rule
    return f"{begin}[{', '.join(sorted(rest.removesuffix(']').split(', ')))}]"
