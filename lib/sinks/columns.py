"""The columns of a message, as every sink of this project takes them. Pure."""

from __future__ import annotations

# topic: string; key, value: binary; headers: array<struct<key: string, value: binary>>. The source
# columns say which record a message answers.
MESSAGE_COLUMNS = (
    "topic",
    "key",
    "value",
    "headers",
    "source_topic",
    "source_partition",
    "source_offset",
)

# What the exactly-once sink needs of them, headers or not. It reads one source topic only.
SOURCE_POSITION = ("source_partition", "source_offset")
REQUIRED_COLUMNS = ("topic", "key", "value", *SOURCE_POSITION)
OPTIONAL_COLUMN = "headers"
HEADERS_TYPE = "array<struct<key: string, value: binary>>"

# All of MESSAGE_COLUMNS, for operators that have to be told.
MESSAGE_TYPES = (
    f"topic string, key binary, value binary, headers {HEADERS_TYPE}, source_topic string,"
    " source_partition int, source_offset bigint"
)
