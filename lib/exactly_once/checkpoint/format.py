"""Parses those files of Spark's checkpoint that the sink reads. Pure.

The format is Spark's own: ``OffsetSeqLog``, ``KafkaSourceInitialOffsetWriter``, ``StreamMetadata``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from lib.exactly_once.offsets.resume import Offsets

# The texts that java.util.UUID.fromString accepts, which Spark calls.
_QUERY_ID = re.compile("[0-9A-Fa-f]{1,8}(-[0-9A-Fa-f]{1,4}){3}-[0-9A-Fa-f]{1,12}")
# The offset log has two lines before those of the sources: its version and Spark's metadata.
_HEAD_LINES = 2


class ForeignOffsetsError(ValueError):
    """The file is well formed, but holds the offsets of other topics only."""


def parse_offsets(text: str, topic: str) -> Offsets:
    """Find a topic's offsets in a file of the offset log or of a source's initial offsets.

    Args:
        text: a version line, maybe metadata, then a line of JSON for each source.
        topic: the source topic.

    Returns:
        partition → offset.

    Raises:
        ForeignOffsetsError: the offsets are those of other topics.
        ValueError: the file is damaged; the message follows its name.
    """
    lines = text.lstrip("\0").splitlines()
    if not any(line.strip() for line in lines):
        raise ValueError("is empty")
    is_foreign = False
    # The last line comes first: Spark's metadata may have a key that is named like the topic.
    for number, line in reversed(list(enumerate(lines))):
        _, brace, rest = line.partition("{")
        try:
            topics = json.loads(brace + rest)
        except ValueError:
            continue
        if not isinstance(topics, dict):
            continue
        if isinstance(topics.get(topic), dict):
            return _read_positions(topics[topic])
        # A file of initial offsets begins with a zero byte, and has no metadata.
        is_foreign |= number >= (1 if text.startswith("\0") else _HEAD_LINES)
    if is_foreign:
        raise ForeignOffsetsError(f"no offsets of topic {topic}")
    raise ValueError("holds no offsets: it is cut off, or no file of Spark's")


def _read_positions(partitions: dict[str, Any]) -> Offsets:
    try:
        return {int(partition): int(offset) for partition, offset in partitions.items()}
    except (TypeError, ValueError):
        raise ValueError("holds offsets that are no numbers") from None


def parse_query_id(text: str) -> str:
    """Parse Spark's id of the query from the file ``metadata``.

    Raises:
        ValueError: the file is damaged; the message follows its name.
    """
    if not text.strip():
        raise ValueError("is empty")
    try:
        query_id = json.loads(text)["id"]
    except (ValueError, KeyError, TypeError):
        raise ValueError("holds no query id: it is cut off, or no file of Spark's") from None
    if not isinstance(query_id, str) or _QUERY_ID.fullmatch(query_id) is None:
        raise ValueError("holds a query id that is none of Spark's")
    return query_id
