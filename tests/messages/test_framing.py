"""Records in well-known framings are recognised, and their hints say what helps."""

from __future__ import annotations

import base64
import bz2
import gzip
import json
import zlib
from dataclasses import replace

import pytest

from lib.messages.framing import FRAMINGS, find_framing
from tests.support.records import ACCEPTED, BROKEN, VALID, record
from tests.support.telco import CUSTOMER

REGISTRY = "the framing of a schema registry"
COMPRESSED = "compressed bytes"
BINARY = "an Avro or Parquet file, or a serialized Java object"
CONNECT = "Kafka Connect's envelope of schema and payload"
DEBEZIUM = "Debezium's envelope of a change"
CLOUD_EVENT = "a CloudEvent in structured mode"
LINES = json.dumps(VALID, indent=2).encode()
SCHEMA = {"type": "struct", "fields": [{"type": "string", "optional": False, "field": "x"}] * 50}
CHANGE = {"before": None, "after": VALID, "source": {"connector": "mysql"}, "op": "c"}

# Each value, and the name of its framing.
FRAMED = {
    "byte-order mark": (b"\xef\xbb\xbf" + record(), "text with a byte-order mark"),
    "UTF-16": (record().decode().encode("utf-16"), "UTF-16"),
    "UTF-16 little endian": (record().decode().encode("utf-16-le"), "UTF-16"),
    "UTF-16 big endian": (record().decode().encode("utf-16-be"), "UTF-16"),
    "registry, Avro": (b"\x00\x00\x00\x00\x07\x14VHVEG\x02\xff", REGISTRY),
    "registry, JSON": (b"\x00\x00\x01\x86\xa0" + record(), REGISTRY),
    "registry of AWS": (b"\x03\x00" + bytes(range(16)) + b"\x14VHVEG", REGISTRY),
    "gzip": (gzip.compress(record()), COMPRESSED),
    "zlib": (zlib.compress(record()), COMPRESSED),
    "bzip2": (bz2.compress(record()), COMPRESSED),
    "zstd": (b"\x28\xb5\x2f\xfd\x24\x00", COMPRESSED),
    "LZ4": (b"\x04\x22\x4d\x18\x64\x40", COMPRESSED),
    "Avro file": (b"Obj\x01\x04\x16avro.schema", BINARY),
    "Java object": (b"\xac\xed\x00\x05sr\x00", BINARY),
    "XML": (b'<?xml version="1.0"?><r/>', "XML"),
    "JSON twice": (json.dumps(record().decode()).encode(), "JSON in a JSON string"),
    "JSON twice, with lines": (
        json.dumps("\n " + LINES.decode()).encode(),
        "JSON in a JSON string",
    ),
    "base64": (base64.b64encode(record()), "JSON in base64"),
    "base64 of lines": (base64.b64encode(LINES), "JSON in base64"),
    "base64 in a JSON string": (b'"' + base64.b64encode(b'{"a": 1}') + b'"', "JSON in base64"),
    "list": (b"[" + record() + b"]", "a list of records"),
    "Connect": (json.dumps({"schema": SCHEMA, "payload": VALID}).encode(), CONNECT),
    "Connect without a schema": (b'{"schema":null,"payload":{"tenure":1}}', CONNECT),
    "Debezium": (json.dumps(CHANGE, indent=1).encode(), DEBEZIUM),
    "CloudEvent": (
        b'{"id":"1","specversion":"1.0","type":"x","data":{"tenure":1}}',
        CLOUD_EVENT,
    ),
}


@pytest.mark.parametrize("case", FRAMED)
def test_a_framing_is_recognised(case: str) -> None:
    value, name = FRAMED[case]

    found = find_framing(value, CUSTOMER)

    assert found is not None
    assert found.name == name


def test_every_framing_has_a_case() -> None:
    assert {name for _, name in FRAMED.values()} == {it.name for it in FRAMINGS}


def test_what_has_no_framing_gets_no_hint() -> None:
    framed = {
        "byte-order mark": "text with a byte-order mark",
        "array": "a list of records",
        "not text at all": "UTF-16",  # it begins with that byte-order mark
    }
    values = {name: value for name, (value, _) in (BROKEN | ACCEPTED).items()}

    found = {name: find_framing(value, CUSTOMER) for name, value in values.items()}

    assert {name: it.name for name, it in found.items() if it is not None} == framed
    for value in (b"", b"\x00", b"eyes wide open", b"eyJ", b"12", b"customer;tenure\n1;2\n"):
        assert find_framing(value, CUSTOMER) is None


def test_a_contract_that_knows_the_framing_gets_no_hint() -> None:
    inside = tuple(replace(it, path=("payload", it.name)) for it in CUSTOMER.features)
    contract = replace(CUSTOMER, features=inside)

    assert find_framing(FRAMED["Connect"][0], contract) is None
    debezium = find_framing(FRAMED["Debezium"][0], contract)
    assert debezium is not None
    assert debezium.hint == (
        "looks like Debezium's envelope of a change: unwrap it with Debezium's transform"
        " ExtractNewRecordState, or give the fields of the contract a path inside of it, such as"
        ' path = "after.NAME"'
    )
