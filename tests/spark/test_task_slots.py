"""Task slots are counted where the settings determine them."""

from __future__ import annotations

import pytest

from lib.spark.task_slots import count_slots


@pytest.mark.parametrize(
    ("conf", "slots"),
    [
        ({"spark.master": "local"}, 1),
        ({"spark.master": "local[3]"}, 3),
        ({"spark.master": "local[3,2]"}, 3),
        ({"spark.master": "local[*]"}, 8),
        ({"spark.master": "local[6]", "spark.task.cpus": "2"}, 3),
        ({"spark.master": "local-cluster[2,3,1024]"}, 6),
        ({"spark.master": "yarn"}, None),
        ({"spark.master": "yarn", "spark.executor.instances": "2"}, None),
        (
            {
                "spark.master": "yarn",
                "spark.executor.instances": "2",
                "spark.executor.cores": "4",
            },
            8,
        ),
        (
            {
                "spark.master": "yarn",
                "spark.executor.instances": "2",
                "spark.executor.cores": "4",
                "spark.dynamicAllocation.enabled": "true",
            },
            None,
        ),
    ],
)
def test_task_slots_are_counted_where_they_are_fixed(
    conf: dict[str, str], slots: int | None
) -> None:
    assert count_slots(conf, cores=8) == slots
