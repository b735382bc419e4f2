"""A batch ends where the query has planned it, whatever its checkpoint says later."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.sql import DataFrame

from lib.errors import SinkError
from lib.exactly_once.checkpoint.planned_offsets import read_planned_batch
from tests.exactly_once.copying import COMMITS, Copying, answers, orders
from tests.support.waiting import wait_until


def rewrite_ends(path: Path, more: int) -> None:
    """Change the ends as a second driver does that plans the same batch later or earlier."""
    *head, last = path.read_text().splitlines()
    (topic, ends), *_ = json.loads(last).items()
    moved = {topic: {partition: end + more for partition, end in ends.items()}}
    (path.parent / f".{path.name}.crc").unlink(missing_ok=True)
    path.write_text("\n".join([*head, json.dumps(moved)]))


@COMMITS
@pytest.mark.parametrize("more", [-5, 5])
def test_ends_that_another_driver_has_rewritten_are_not_committed(
    copying: Copying, checkpoint: Path, tmp_path: Path, commit: str, more: int
) -> None:
    copying.produce(*orders(0, 200))
    sink = copying.start_sink(commit=commit)

    def write(frame: DataFrame, batch_id: int) -> None:
        rewrite_ends(checkpoint / "offsets" / str(batch_id), more)
        sink(frame, batch_id)

    writer = sink.write_stream(copying.messages(sink.read_stream())).foreachBatch(write)
    query = writer.trigger(availableNow=True).start()
    wait_until(lambda: not query.isActive)
    sink.close()

    assert sink.failure is None
    assert sum(offset for offset, _ in copying.committed().values()) == 200
    copying.produce(*orders(200, 400))
    copying.drain(commit=commit, checkpoint=str(tmp_path / "another"))
    assert copying.read() == answers(0, 400)


def test_a_batch_that_no_query_gives_is_refused(copying: Copying) -> None:
    with pytest.raises(SinkError, match="batch 7 is not written by a running query"):
        read_planned_batch(copying.spark, 7, copying.settings.source_topic)
