"""The text of Spark's files can be read, and damage to it is found."""

from __future__ import annotations

import pytest

from lib.exactly_once.checkpoint.format import ForeignOffsetsError, parse_offsets, parse_query_id

OFFSET_LOG = """v1
{"batchWatermarkMs":0,"batchTimestampMs":1,"conf":{"in":"no offsets here"}}
{"in":{"0":4999,"1":5001}}"""
INITIAL = '\x00v1\n{"in":{"0":0,"1":12}}'
QUERY_ID = "9f0c6b52-6a3e-4f0e-9a54-0c5a6a1f8d11"


def test_end_offsets_are_read_from_the_sources_line() -> None:
    assert parse_offsets(OFFSET_LOG, "in") == {0: 4999, 1: 5001}


def test_initial_offsets_are_read_past_their_zero_byte() -> None:
    assert parse_offsets(INITIAL, "in") == {0: 0, 1: 12}


def test_a_log_of_another_topic_is_an_error() -> None:
    for text in (OFFSET_LOG, INITIAL):
        with pytest.raises(ForeignOffsetsError, match="no offsets of topic out"):
            parse_offsets(text, "out")


def test_a_topic_may_be_named_like_a_key_of_sparks_metadata() -> None:
    assert parse_offsets('v1\n{"conf":{"0":1}}\n{"conf":{"0":7}}', "conf") == {0: 7}


@pytest.mark.parametrize(
    ("text", "damage"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        ("\0" * 512, "is empty"),
        ("v1", "holds no offsets"),
        (OFFSET_LOG[:40], "holds no offsets"),
        (OFFSET_LOG[:-3], "holds no offsets"),
        (INITIAL[:-3], "holds no offsets"),
        ("\x1f\x8b\x08 garbage", "holds no offsets"),
        (OFFSET_LOG.replace("4999", '"many"'), "offsets that are no numbers"),
        (OFFSET_LOG.replace('"0"', '"zero"'), "offsets that are no numbers"),
    ],
)
def test_damage_of_offsets_is_named(text: str, damage: str) -> None:
    with pytest.raises(ValueError, match=damage) as error:
        parse_offsets(text, "in")
    assert not isinstance(error.value, ForeignOffsetsError)


def test_the_query_id_is_read() -> None:
    assert parse_query_id(f'{{"id":"{QUERY_ID}"}}') == QUERY_ID


@pytest.mark.parametrize(
    ("text", "damage"),
    [
        ("", "is empty"),
        ('{"id":"9f0c', "holds no query id"),
        ("garbage", "holds no query id"),
        ("[1]", "holds no query id"),
        ("{}", "holds no query id"),
        ('{"id":7}', "a query id that is none of Spark's"),
        ('{"id":"churn"}', "a query id that is none of Spark's"),
    ],
)
def test_damage_of_the_query_id_is_named(text: str, damage: str) -> None:
    with pytest.raises(ValueError, match=damage):
        parse_query_id(text)
