"""The columns of a record from every source, and of a message for every sink. Needs no Spark."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

HEADERS_ARROW = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
HEADERS_TYPE = "array<struct<key: string, value: binary>>"

#: The columns of a record and their types in Spark's words.
SOURCE_TYPES = {
    "source_key": "binary",
    "source_value": "binary",
    "source_headers": HEADERS_TYPE,
    "source_topic": "string",
    "source_partition": "int",
    "source_offset": "bigint",
    "source_timestamp": "timestamp",
}
SOURCE_COLUMNS = tuple(SOURCE_TYPES)

#: The columns of a message, and the position of the record that it answers.
MESSAGE_SCHEMA = pa.schema(
    [
        ("topic", pa.string()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("headers", HEADERS_ARROW),
        ("source_topic", pa.string()),
        ("source_partition", pa.int32()),
        ("source_offset", pa.int64()),
    ]
)
#: The types of the columns in Spark's words.
COLUMN_TYPES = {
    "topic": "string",
    "key": "binary",
    "value": "binary",
    "headers": HEADERS_TYPE,
    "source_topic": "string",
    "source_partition": "int",
    "source_offset": "bigint",
}

#: Three more columns of messages that are counted; see :mod:`lib.messages.tally`. The outcome is a
#: text by which the messages of one topic are counted: the model and the label of a prediction, or
#: the rule and the field of a dead letter. The times are milliseconds since 1970, or null: the
#: record's time by Kafka, and the event time in the record.
TALLY_SCHEMA = pa.schema(
    [("outcome", pa.string()), ("record_time_ms", pa.int64()), ("event_time_ms", pa.int64())]
)
OUTCOME, RECORD_TIME, EVENT_TIME = TALLY_COLUMNS = tuple(TALLY_SCHEMA.names)
_TALLY_TYPES = {OUTCOME: "string", RECORD_TIME: "bigint", EVENT_TIME: "bigint"}
COUNTED_SCHEMA = pa.schema([*MESSAGE_SCHEMA, *TALLY_SCHEMA])

#: One more column where drift is counted: the key of a profile, then the bin of each feature and of
#: the score, a byte each; null for a record that is not sampled. See :mod:`lib.drift.profile`.
BINS = "bins"
BINNED_SCHEMA = COUNTED_SCHEMA.append(pa.field(BINS, pa.binary()))

# The columns that the exactly-once sink needs, which reads one source topic only.
SOURCE_POSITION = ("source_partition", "source_offset")
REQUIRED_COLUMNS = ("topic", "key", "value", *SOURCE_POSITION)
OPTIONAL_COLUMN = "headers"
COLLECTED_COLUMNS = (*REQUIRED_COLUMNS, OPTIONAL_COLUMN)
#: The types of all columns that a message may have.
ALL_TYPES = {**COLUMN_TYPES, **_TALLY_TYPES, BINS: "binary"}


def describe_columns(names: Iterable[str]) -> str:
    """Describe some of the columns as a schema for Spark, in that order."""
    return ", ".join(f"{name} {ALL_TYPES[name]}" for name in names)


#: The columns of messages that are not counted.
MESSAGE_TYPES = describe_columns(MESSAGE_SCHEMA.names)
