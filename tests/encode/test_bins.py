"""A batch is put into bins as each of its records would be."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from lib.decode.engines.arrow import decode_batch
from lib.decode.engines.python import decode_value
from lib.drift.bins import BinKind
from lib.drift.profile import Binning, Profile, build_profile
from lib.drift.sample import are_sampled
from lib.encode.arrow import encode_batch
from lib.messages.columns import COUNTED_SCHEMA
from lib.messages.dead_letter import MessageSettings, OutputSettings
from lib.record.contract import Contract
from lib.synth import draw_records, encode_record
from tests.record.random_contracts import draw_contract

MODEL = "m@1/onnx"


def encode(
    values: list[bytes | None], probabilities: Any, contract: Contract, binning: Binning
) -> pa.RecordBatch:
    count = len(values)
    records = pa.RecordBatch.from_pydict(
        {
            "source_key": pa.array([b"k"] * count),
            "source_value": pa.array(values, pa.binary()),
            "source_headers": pa.nulls(count, pa.string()),
            "source_topic": pa.array(["in"] * count),
            "source_partition": pa.array([0] * count, pa.int32()),
            "source_offset": pa.array(range(count), pa.int64()),
            "source_timestamp": pa.array([datetime.now(UTC)] * count, pa.timestamp("us", "UTC")),
        }
    )
    decoded = decode_batch(records["source_value"], contract)
    output = OutputSettings("out", "dead", "query", is_counted=True, binning=binning)
    settings = MessageSettings(contract, output, 0.5, MODEL)
    scores = np.array(probabilities[: int(decoded.valid.sum())], np.float64)
    return encode_batch(records, decoded, scores, settings, datetime.now(UTC))


def place(profile: Profile, features: dict[str, Any], score: float) -> bytes:
    """Put one record into bins, value by value."""
    places = []
    for bins in profile.features:
        value = features[bins.name]
        if bins.kind in (BinKind.VALUE, BinKind.LENGTH):
            places.append(int(bins.place_texts([value])[0]))
        else:
            number = np.nan if value is None else float(value)
            places.append(int(bins.place_numbers(np.array([number]))[0]))
    return bytes([*places, int(profile.score.place_numbers(np.array([score]))[0])])


@pytest.mark.parametrize("seed", range(6))
def test_records_of_any_contract_are_in_the_bins_of_their_values(seed: int) -> None:
    contract = draw_contract(seed)
    values: list[bytes | None] = [
        encode_record(it, contract) for it in islice(draw_records(contract, seed), 400)
    ]
    values[7], values[20] = None, b"{"
    decoded = [decode_value(value, contract) for value in values]
    rows = [it.features for it in decoded if it.is_valid]
    scores = np.random.default_rng(seed).random(len(rows))
    scores[3] = np.nan  # the model failed
    profile = build_profile(pd.DataFrame(rows), scores, contract)

    batch = encode(values, scores, contract, Binning(3, MODEL, profile))

    sampled, key = are_sampled(np.arange(400), 3), profile.make_key(MODEL)
    remaining, expected = iter(zip(rows, scores, strict=True)), []
    for position, it in enumerate(decoded):
        found = None
        if it.is_valid:
            features, score = next(remaining)
            if sampled[position] and not np.isnan(score):
                found = key + place(profile, dict(features), score)
        expected.append(found)
    assert batch["bins"].to_pylist() == expected
    assert 60 < 400 - batch["bins"].null_count < 180


def test_messages_have_no_bins_of_another_model_or_without_a_profile() -> None:
    contract = draw_contract(1)
    values: list[bytes | None] = [
        encode_record(it, contract) for it in islice(draw_records(contract, 1), 5)
    ]
    rows = pd.DataFrame([decode_value(value, contract).features for value in values])
    profile = build_profile(rows, np.full(5, 0.5), contract)

    for binning in (Binning(1, MODEL, None), Binning(1, "other@1/onnx", profile)):
        batch = encode(values, [0.5] * 5, contract, binning)
        assert batch["bins"].to_pylist() == [None] * 5
        assert batch.schema.names == [*COUNTED_SCHEMA.names, "bins"]
