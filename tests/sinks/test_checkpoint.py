from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lib.errors import SinkError
from lib.sinks.resume import CheckpointPosition

pytest.importorskip("pyspark")

from lib.sinks.checkpoint import CheckpointReader, parse_offsets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OFFSET_LOG = """v1
{"batchWatermarkMs":0,"batchTimestampMs":1,"conf":{"in":"no offsets here"}}
{"in":{"0":4999,"1":5001}}"""
INITIAL = '\x00v1\n{"in":{"0":0,"1":12}}'

MANAGER = "spark.sql.streaming.checkpointFileManagerClass"


def test_end_offsets_are_read_from_the_sources_line() -> None:
    assert parse_offsets(OFFSET_LOG, "in") == {0: 4999, 1: 5001}


def test_initial_offsets_are_read_past_their_zero_byte() -> None:
    assert parse_offsets(INITIAL, "in") == {0: 0, 1: 12}


def test_a_log_of_another_topic_is_an_error() -> None:
    with pytest.raises(ValueError, match="no offsets of topic out"):
        parse_offsets(OFFSET_LOG, "out")


def write(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(root)


def log(**offsets: int) -> str:
    ends = {name.removeprefix("p"): offset for name, offset in offsets.items()}
    return "v1\n{}\n" + json.dumps({"in": ends})


@pytest.mark.parametrize(
    ("files", "position"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"metadata": "{}"}, None, id="query id only"),
        pytest.param(
            {"sources/0/0": INITIAL},
            CheckpointPosition(0, {0: 0, 1: 12}, is_complete=True),
            id="no batch begun",
        ),
        pytest.param(
            {"sources/0/0": INITIAL, "offsets/0": log(p0=5, p1=15)},
            CheckpointPosition(0, {0: 0, 1: 12}, is_complete=False),
            id="first batch begun",
        ),
        pytest.param(
            {"sources/0/0": INITIAL, "offsets/0": log(p0=5, p1=15), "commits/0": "v1\n{}"},
            CheckpointPosition(1, {0: 5, 1: 15}, is_complete=True),
            id="first batch finished",
        ),
        pytest.param(
            {
                "sources/0/0": INITIAL,
                "offsets/9": log(p0=5, p1=15),
                "offsets/10": log(p0=6, p1=16),
                "offsets/.10.crc": "x",
                "commits/9": "v1\n{}",
            },
            CheckpointPosition(10, {0: 5, 1: 15}, is_complete=False),
            id="eleventh batch begun",
        ),
    ],
)
def test_position_of_a_checkpoint(
    spark: SparkSession,
    tmp_path: Path,
    files: dict[str, str],
    position: CheckpointPosition | None,
) -> None:
    assert CheckpointReader(spark, write(tmp_path, files), "in").read_position() == position


def test_a_url_of_any_file_system_is_read(spark: SparkSession, tmp_path: Path) -> None:
    root = write(tmp_path, {"offsets/3": log(p0=7), "metadata": '{"id":"abc"}'})
    reader = CheckpointReader(spark, f"file://{root}", "in")

    assert reader.read_end_offsets(3) == {0: 7}
    assert reader.read_query_id() == "abc"


def test_a_missing_batch_and_a_foreign_checkpoint_are_named(
    spark: SparkSession, tmp_path: Path
) -> None:
    reader = CheckpointReader(spark, write(tmp_path, {"offsets/3": log(p0=7)}), "out")

    with pytest.raises(SinkError, match="has no file offsets/4"):
        reader.read_end_offsets(4)
    with pytest.raises(SinkError, match=r"offsets/3 of checkpoint .*no offsets of topic out"):
        reader.read_end_offsets(3)


def test_repeats_of_one_batch_are_counted_and_of_another_anew(
    spark: SparkSession, tmp_path: Path
) -> None:
    reader = CheckpointReader(spark, str(tmp_path), "in")

    assert [reader.count_repeat(7), reader.count_repeat(7), reader.count_repeat(8)] == [1, 2, 1]
    assert CheckpointReader(spark, str(tmp_path), "in").count_repeat(8) == 2


def test_the_topics_id_is_noted(spark: SparkSession, tmp_path: Path) -> None:
    reader = CheckpointReader(spark, str(tmp_path), "in")
    assert reader.find_topic_id() is None
    reader.note_topic_id("a" * 32)
    reader.note_topic_id("0123456789abcdef" * 2)

    assert reader.find_topic_id() == "0123456789abcdef" * 2


@pytest.mark.parametrize("left", ["", "0123456789"])
def test_a_note_that_a_kill_cut_off_is_none(spark: SparkSession, tmp_path: Path, left: str) -> None:
    reader = CheckpointReader(spark, str(tmp_path), "in")
    reader.note_topic_id("a" * 32)
    (tmp_path / "exactly-once" / "topic-id").write_text(left)
    (tmp_path / "exactly-once" / ".topic-id.crc").unlink(missing_ok=True)

    assert reader.find_topic_id() is None
    reader.note_topic_id("a" * 32)
    assert reader.find_topic_id() == "a" * 32


def test_a_local_checkpoint_is_written_without_a_process_for_each_file(
    spark: SparkSession, tmp_path: Path
) -> None:
    from lib.sinks.checkpoint import PLAIN_FILE_SYSTEM, prefer_plain_files

    jvm: Any = spark._jvm
    path = jvm.org.apache.hadoop.fs.Path(str(tmp_path))
    files = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())
    assert files.getClass().getName() == PLAIN_FILE_SYSTEM
    spark.conf.unset(MANAGER)
    try:
        prefer_plain_files(spark, str(tmp_path / "checkpoint"))
        assert "FileSystemBased" in (spark.conf.get(MANAGER) or "")
    finally:
        spark.conf.unset(MANAGER)


def test_another_file_system_keeps_the_checkpoints_usual_way(spark: SparkSession) -> None:
    from lib.sinks.checkpoint import prefer_plain_files

    configuration: Any = spark.sparkContext._jsc.hadoopConfiguration()
    configuration.set("fs.viewfs.mounttable.plain.link./remote", "file:///tmp")
    spark.conf.unset(MANAGER)
    prefer_plain_files(spark, "viewfs://plain/remote/checkpoint")
    assert spark.conf.get(MANAGER, "default") == "default"
