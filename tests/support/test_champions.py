from __future__ import annotations

import pytest

from tests.support.champions import Champions


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        # m@1 is the champion until 10, then m@2, and from 20 on m@1 again.
        ([("m@1", 5.0), ("m@2", 15.0), ("m@1", 25.0)], [True, True, True]),
        # A batch may be repeated long after the promotion, with the version that began it.
        ([("m@1", 5.0), ("m@1", 18.0), ("m@2", 30.0), ("m@1", 31.0)], [True, True, True, True]),
        # A promotion may be passed over.
        ([("m@1", 5.0), ("m@1", 25.0)], [True, True]),
        ([("m@2", 5.0)], [False]),
        ([("m@3", 30.0)], [False]),
        # There was one promotion of m@2: nobody goes back to it.
        ([("m@2", 12.0), ("m@1", 21.0), ("m@2", 22.0)], [True, True, False]),
        ([("m@1", 5.0), ("m@2", 12.0), ("m@1", 13.0)], [True, True, False]),
    ],
)
def test_versions_follow_the_promotions(
    answers: list[tuple[str, float]], expected: list[bool]
) -> None:
    champions = Champions("m@1")
    champions.promote("m@2", 10.0)
    champions.promote("m@1", 20.0)

    assert [champions.note(7, version, at_s) for version, at_s in answers] == expected
    # Keys are independent of each other, and so is a second reading.
    assert champions.note(8, "m@1", 5.0)
    assert champions.blank().note(7, "m@1", 5.0)
