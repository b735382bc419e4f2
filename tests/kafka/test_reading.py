"""The newest messages of a topic come from all its partitions."""

from __future__ import annotations

import pytest

from lib.kafka.reading import share_out


@pytest.mark.parametrize(
    ("sizes", "count", "shares"),
    [
        ({0: 100, 1: 100}, 10, {0: 5, 1: 5}),
        ({0: 100, 1: 100}, 7, {0: 3, 1: 4}),
        ({0: 100, 1: 2, 2: 100}, 30, {0: 14, 1: 2, 2: 14}),
        ({0: 0, 1: 100}, 30, {0: 0, 1: 30}),
        ({0: 3, 1: 4}, 30, {0: 3, 1: 4}),
        ({0: 5, 1: 5, 2: 5}, 1, {0: 0, 1: 0, 2: 1}),
        ({}, 30, {}),
    ],
)
def test_messages_are_shared_out_as_equally_as_sizes_allow(
    sizes: dict[int, int], count: int, shares: dict[int, int]
) -> None:
    assert share_out(sizes, count) == shares
