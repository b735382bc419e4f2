from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lib.errors import QueryFailedError, ResumeRefusedError, SettingsError, SinkError
from lib.exactly_once.offsets.resume import CheckpointDamage, CheckpointPosition
from tests.exactly_once.checkpoint.damaging import DAMAGES, damage
from tests.support.small_disk import make_read_only, small_disk

pytest.importorskip("pyspark")

from lib.exactly_once.checkpoint.reader import CheckpointReader

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

INITIAL = '\x00v1\n{"in":{"0":0,"1":12}}'
QUERY_ID = "9f0c6b52-6a3e-4f0e-9a54-0c5a6a1f8d11"
METADATA = json.dumps({"id": QUERY_ID})

MANAGER = "spark.sql.streaming.checkpointFileManagerClass"


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
        pytest.param({"metadata": METADATA}, None, id="query id only"),
        pytest.param(
            {"metadata": METADATA, "sources/0/0": INITIAL},
            CheckpointPosition(0, {0: 0, 1: 12}, is_complete=True),
            id="no batch begun",
        ),
        pytest.param(
            {"metadata": METADATA, "sources/0/0": INITIAL, "offsets/0": log(p0=5, p1=15)},
            CheckpointPosition(0, {0: 0, 1: 12}, is_complete=False),
            id="first batch begun",
        ),
        pytest.param(
            {
                "metadata": METADATA,
                "sources/0/0": INITIAL,
                "offsets/0": log(p0=5, p1=15),
                "commits/0": "v1\n{}",
            },
            CheckpointPosition(1, {0: 5, 1: 15}, is_complete=True),
            id="first batch finished",
        ),
        pytest.param(
            {
                "metadata": METADATA,
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
    assert CheckpointReader(spark, write(tmp_path, files), "in").look() == position


SOUND = {
    "metadata": METADATA,
    "sources/0/0": INITIAL,
    "offsets/8": log(p0=4, p1=14),
    "offsets/9": log(p0=5, p1=15),
    "offsets/10": log(p0=6, p1=16),
    "commits/9": "v1\n{}",
    "exactly-once/topic-id": "a" * 32,
    "exactly-once/repeats": "10 1",
}
BEGUN = CheckpointPosition(10, {0: 5, 1: 15}, is_complete=False)
NO_OFFSETS = "holds no offsets: it is cut off, or no file of Spark's"
NO_QUERY_ID = "holds no query id: it is cut off, or no file of Spark's"


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        pytest.param(
            "metadata",
            {"truncated": NO_QUERY_ID, "garbage": NO_QUERY_ID, "missing": "is missing"},
            id="the query's id",
        ),
        pytest.param(
            "offsets/10",
            {
                "truncated": NO_OFFSETS,
                "garbage": NO_OFFSETS,
                # Nothing shows that there was such a batch; the group's offsets are behind it.
                "missing": CheckpointPosition(10, {0: 5, 1: 15}, is_complete=True),
            },
            id="the last offsets",
        ),
        pytest.param(
            "offsets/9",
            {"truncated": NO_OFFSETS, "garbage": NO_OFFSETS, "missing": "is missing"},
            id="the offsets before",
        ),
        pytest.param(
            "commits/9",
            {
                # Spark takes "v1" alone for a commit without metadata.
                "truncated": BEGUN,
                "garbage": "cannot be read by Spark: ",
                "missing": BEGUN,
            },
            id="the last commit",
        ),
        pytest.param("sources/0/0", dict.fromkeys(DAMAGES, BEGUN), id="what nobody reads again"),
        pytest.param(
            "exactly-once/topic-id",
            {"truncated": "holds no topic id", "garbage": "holds no topic id", "missing": BEGUN},
            id="the topic's id",
        ),
        pytest.param(
            "exactly-once/repeats", dict.fromkeys(DAMAGES, BEGUN), id="the count of repeats"
        ),
    ],
)
def test_each_damage_of_each_file(
    spark: SparkSession, tmp_path: Path, file: str, how: str, expected: dict[str, object]
) -> None:
    root = write(tmp_path, SOUND)
    damage(tmp_path / file, how)

    found = CheckpointReader(spark, root, "in").look()

    wanted = expected.get(how, "is empty")
    if isinstance(wanted, str):
        assert isinstance(found, CheckpointDamage)
        assert found.description.startswith(f"{root}/{file} {wanted}")
    else:
        assert found == wanted


@pytest.mark.parametrize("how", DAMAGES)
def test_each_damage_of_the_initial_offsets_before_the_first_batch_is_done(
    spark: SparkSession, tmp_path: Path, how: str
) -> None:
    files = {"metadata": METADATA, "sources/0/0": INITIAL, "offsets/0": log(p0=5, p1=15)}
    root = write(tmp_path, files)
    damage(tmp_path / "sources/0/0", how)

    found = CheckpointReader(spark, root, "in").look()

    expected = {"empty": "is empty", "zeros": "is empty", "missing": "is missing"}
    assert found == CheckpointDamage(f"{root}/sources/0/0 {expected.get(how, NO_OFFSETS)}")


def test_a_commit_of_offsets_that_are_gone_is_damage(spark: SparkSession, tmp_path: Path) -> None:
    """Spark would repeat the batch before, and take its own old commit for another driver's."""
    root = write(tmp_path, {**SOUND, "commits/10": "v1\n{}"})
    damage(tmp_path / "offsets/10", "missing")

    found = CheckpointReader(spark, root, "in").look()
    assert found == CheckpointDamage(f"{root}/offsets/10 is missing")


def test_offsets_that_are_json_but_not_sparks_are_damage(
    spark: SparkSession, tmp_path: Path
) -> None:
    """Spark reads more of the file than this project does."""
    text = log(p0=6, p1=16).replace("{}", '{"batchWatermarkMs":"late"}', 1)
    root = write(tmp_path, {**SOUND, "offsets/10": text})

    found = CheckpointReader(spark, root, "in").look()
    assert isinstance(found, CheckpointDamage)
    assert found.description.startswith(f"{root}/offsets/10 cannot be read by Spark: ")


def test_a_file_that_differs_from_its_checksum_is_damage(
    spark: SparkSession, tmp_path: Path
) -> None:
    reader = CheckpointReader(spark, str(tmp_path), "in")
    reader.note_topic_id("a" * 32)
    (tmp_path / "exactly-once" / "topic-id").write_text("b" * 32)

    found = reader.look()
    assert isinstance(found, CheckpointDamage)
    assert "topic-id does not have its checksum" in found.description


def test_a_checkpoint_is_set_aside_whole_and_beside_itself(
    spark: SparkSession, tmp_path: Path
) -> None:
    root = write(tmp_path / "churn", SOUND)
    reader = CheckpointReader(spark, root, "in")
    target = reader.set_aside(datetime(2026, 11, 30, 6, 7, 8, 9, tzinfo=UTC))

    assert target == f"{tmp_path}/churn.set-aside-20261130T060708000009Z"
    assert (Path(target) / "offsets" / "10").is_file()
    assert not (tmp_path / "churn").exists()
    assert reader.look() is None
    with pytest.raises(SinkError, match=r"checkpoint .*churn cannot be renamed to .*remove it"):
        reader.set_aside(datetime(2026, 11, 30, 6, 7, 8, 9, tzinfo=UTC))


def test_a_damaged_checkpoint_is_refused_where_nothing_else_tells_the_position(
    spark: SparkSession, tmp_path: Path
) -> None:
    root = write(tmp_path, {**SOUND, "offsets/10": ""})
    reason = r"the checkpoint is damaged: .*/offsets/10 is empty .*restore it from a backup"

    with pytest.raises(ResumeRefusedError, match=reason):
        CheckpointReader(spark, root, "in").refuse_damage()


@pytest.mark.parametrize("folder", ["exactly-once", "offsets", "commits"])
def test_a_folder_that_cannot_be_written_is_named(
    spark: SparkSession, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).write_text("not a folder")
    with pytest.raises(SettingsError) as refusal:
        CheckpointReader(spark, str(tmp_path), "in").check_writable()
    assert refusal.value.message == (
        f"the checkpoint cannot be written: {tmp_path}/{folder}: Not a directory"
    )


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_device_that_takes_no_file_of_the_checkpoint_is_named(
    spark: SparkSession, tmp_path: Path, scheme: str, *, is_new: bool
) -> None:
    with small_disk(tmp_path / "full") as full, small_disk(tmp_path / "read only") as read_only:
        for disk in (full, read_only):
            if not is_new:
                (disk / "check point" / "exactly-once").mkdir(parents=True)
        with suppress(OSError), (full / "rest").open("wb", buffering=0) as rest:
            while True:
                rest.write(b"\0" * 4096)
        make_read_only(read_only)

        # It may get space again, so this failure may pass.
        with pytest.raises(QueryFailedError) as no_space:
            CheckpointReader(spark, f"{scheme}{full}/check point", "in").check_writable()
        with pytest.raises(SettingsError) as refusal:
            CheckpointReader(spark, f"{scheme}{read_only}/check point", "in").check_writable()

    what = "the checkpoint cannot be written"
    assert str(no_space.value) == (
        f"{what}: {full}/check point/exactly-once: no space is left on tmpfs, which is mounted at"
        f" {full} (free some space, or name another place)"
    )
    assert str(refusal.value) == (
        f"{what}: {read_only}/check point/exactly-once: tmpfs, which is mounted at {read_only},"
        " can only be read (name another place, or mount it to be written)"
    )


def test_a_look_whether_a_checkpoint_can_be_written_leaves_nothing(
    spark: SparkSession, tmp_path: Path
) -> None:
    write(tmp_path, SOUND)
    CheckpointReader(spark, str(tmp_path), "in").check_writable()

    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == SOUND.keys()


def test_a_url_of_any_file_system_is_read(spark: SparkSession, tmp_path: Path) -> None:
    root = write(tmp_path, {"offsets/3": log(p0=7), "metadata": METADATA})
    reader = CheckpointReader(spark, f"file://{root}", "in")

    assert reader.read_end_offsets(3) == {0: 7}
    assert reader.read_query_id() == QUERY_ID


def test_a_missing_batch_and_a_foreign_checkpoint_are_named(
    spark: SparkSession, tmp_path: Path
) -> None:
    reader = CheckpointReader(spark, write(tmp_path, {"offsets/3": log(p0=7)}), "out")

    with pytest.raises(SinkError, match="offsets/4 is missing"):
        reader.read_end_offsets(4)
    with pytest.raises(SinkError, match="offsets/3: no offsets of topic out"):
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


def test_the_querys_name_is_noted_and_told_with_the_position(
    spark: SparkSession, tmp_path: Path
) -> None:
    reader = CheckpointReader(spark, write(tmp_path, SOUND), "in")
    position = reader.look()
    # Checkpoints of earlier versions hold no name.
    assert isinstance(position, CheckpointPosition)
    assert position.query_name is None

    reader.note_query_name("churn")
    reader.note_query_name("churn-2")
    assert reader.look() == replace(position, query_name="churn-2")

    (tmp_path / "exactly-once" / "query-name").write_text("")
    (tmp_path / "exactly-once" / ".query-name.crc").unlink(missing_ok=True)
    assert reader.look() == position  # a kill has cut the note off


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
    from lib.exactly_once.checkpoint.files import PLAIN_FILE_SYSTEM, prefer_plain_files

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
    from lib.exactly_once.checkpoint.files import prefer_plain_files

    configuration: Any = spark.sparkContext._jsc.hadoopConfiguration()
    configuration.set("fs.viewfs.mounttable.plain.link./remote", "file:///tmp")
    spark.conf.unset(MANAGER)
    prefer_plain_files(spark, "viewfs://plain/remote/checkpoint")
    assert spark.conf.get(MANAGER, "default") == "default"
