"""The page gets the figures as they are, and settings without secrets."""

from __future__ import annotations

import json
from typing import Any

from lib.telemetry.figures import Figures, PartitionLag
from lib.telemetry.metrics import write_metrics
from lib.telemetry.page.history import History, take_sample
from lib.telemetry.page.home_partition import find_home_partition, hash_murmur2
from lib.telemetry.page.setting_rows import list_settings
from lib.telemetry.page.snapshot import take_snapshot
from lib.telemetry.state import JobState
from tests.telemetry.page.filled import build_figures, build_running, build_settings

NOW_S = 1_700_000_000.0


def test_a_snapshot_has_the_numbers_of_the_metrics() -> None:
    figures, job, history = build_figures(NOW_S), build_running(), History()
    history.add(take_sample(figures, NOW_S, 1.0))

    found = take_snapshot(figures, job, history, NOW_S)

    metrics = write_metrics(figures, job).decode()
    assert found["records"] == 1_000
    assert 'scoring_records_total{answer="prediction"} 990.0' in metrics
    assert 'scoring_records_total{answer="dead_letter"} 10.0' in metrics
    assert found["labels"] == {"Yes": 330, "No": 660}
    assert 'scoring_predictions_total{label="Yes",model_version="m@3/onnx"} 330.0' in metrics
    [letters] = found["dead_letters"]
    assert (letters["rule"], letters["field"], letters["count"]) == ("missing", "tenure", 10)
    assert letters["newest"] == ((1, 487),)
    assert letters["first_s"] == letters["last_s"] == figures.committed_s
    assert 'scoring_dead_letters_total{field="tenure",rule="missing"} 10.0' in metrics
    assert found["partitions"] == [
        {
            "partition": 0,
            "records": 12,
            "age_s": 2.0,
            "held_back": 0,
            "answered": 500,
            "end": 512,
        },
        {
            "partition": 1,
            "records": 0,
            "age_s": 0.0,
            "held_back": 0,
            "answered": 488,
            "end": 488,
        },
    ]
    assert 'scoring_lag_records{partition="0"} 12.0' in metrics
    assert found["model"]["scored_by"] == "m@3/onnx"
    assert found["outcomes"]["versions"][0]["roc_auc"] == 0.8
    assert 'scoring_outcomes_roc_auc{version="m@3"} 0.8' in metrics
    assert 'scoring_outcomes_below_training{version="m@3"} 0.0' in metrics
    assert found["state"]["state"] == "running"
    assert [event["kind"] for event in found["events"]] == ["running", "taking_over", "starting"]
    assert found["point"]["lag_records"] == 12
    json.dumps(found, allow_nan=False)


def test_a_job_that_has_just_begun_has_a_snapshot_too() -> None:
    found = take_snapshot(Figures(), JobState(), History(), NOW_S)

    assert found["records"] == 0
    assert found["model"] is None
    assert found["outcomes"] is None
    assert found["point"] is None
    assert found["latency"] == {"p50_s": None, "p95_s": None, "p99_s": None}
    json.dumps(found, allow_nan=False)


def test_of_many_partitions_those_furthest_behind_are_shown() -> None:
    figures = Figures(lag={p: PartitionLag(0, p, p) for p in range(400)})

    found = take_snapshot(figures, JobState(), History(), NOW_S)

    assert found["partition_count"] == 400
    assert [row["partition"] for row in found["partitions"]] == list(range(300, 400))


def list_values(**settings: Any) -> dict[str, str]:
    return {row.flag: row.value for row in list_settings(build_settings(**settings))}


def test_settings_are_listed_without_secrets() -> None:
    found = list_values(
        kafka={
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "scorer",
            "sasl.password": "geheim",
        },
        kafka_secrets="/etc/secrets.toml",
        checkpoint="s3a://KEY:geheim@bucket/checkpoint",
        console_shows_records=True,
        columns=["a", "b"],
    )

    assert "geheim" not in str(found)
    assert found["--kafka sasl.password"] == "hidden"
    assert found["--kafka sasl.username"] == "scorer"
    assert found["--kafka-secrets"] == "/etc/secrets.toml"
    assert found["--checkpoint"] == "s3a://[hidden]@bucket/checkpoint"
    assert found["--console-shows-records"] == "true"
    assert found["--transaction-timeout"] == "60"
    assert found["--columns"] == "a, b"


def test_settings_that_are_given_are_told_apart_from_defaults() -> None:
    rows = {row.flag: row for row in list_settings(build_settings(restart_limit=3))}

    assert not rows["--restart-limit"].is_default
    assert rows["--outage-limit"].is_default


def test_keys_are_hashed_as_kafka_hashes_them() -> None:
    """The values are those of Kafka's own test of ``Utils.murmur2``."""
    for key, signed in {
        b"21": -973_932_308,
        b"foobar": -790_332_482,
        b"a-little-bit-long-string": -985_981_536,
        b"a-little-bit-longer-string": -1_486_304_829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58_897_971,
        b"abc": 479_470_107,
    }.items():
        assert hash_murmur2(key) == signed % 2**32, key

    assert find_home_partition(b"abc", 4) == 479_470_107 % 4
