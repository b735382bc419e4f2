from __future__ import annotations

from lib.exactly_once.offsets.stamp import Author, Committer, Lease, Stamp
from lib.tools.offsets.group import describe_author
from lib.tools.offsets.moves import Move, list_moves, plan_deletion, plan_moves


def test_a_change_says_what_it_skips_and_repeats() -> None:
    committed = {0: 100, 1: 100, 2: 100, 3: None, 4: 7}

    lines = list(list_moves(plan_moves(committed, {0: 90, 1: 1_100, 2: 100, 3: 5})))

    assert lines == [
        "partition |     position |          new | what it means",
        "        0 |          100 |           90 | repeats 10 offsets: their records are answered"
        " again",
        "        1 |          100 |         1100 | skips 1,000 offsets: their records get no"
        " answer",
        "        2 |          100 |          100 | stays",
        "        3 |         none |            5 | had no position",
    ]


def test_a_deletion_leaves_no_position() -> None:
    assert plan_deletion({1: None, 0: 3}) == [Move(0, 3, None), Move(1, None, None)]
    assert [str(it) for it in plan_deletion({0: 3, 1: None})] == [
        "has no position any more",
        "had no position",
    ]


def test_who_has_committed_a_position_is_said_in_words() -> None:
    def describe(query_id: str, batch_id: int, topic_id: str = "t1") -> str:
        lease = Lease(1_764_508_811, 30)
        stamp = Stamp(query_id, "host:7:ab", batch_id, topic_id, Committer.DRIVER, lease)
        return describe_author(stamp.to_metadata(), "t1")

    assert describe("q", 7) == "run host:7:ab, batch 7, 2025-11-30T13:20:11Z"
    assert describe("q", -1) == "run host:7:ab, 2025-11-30T13:20:11Z"
    assert describe("person", -1) == "jobs/offsets.py, 2025-11-30T13:20:11Z"
    assert describe("q", 7, "t0").endswith(", for another topic of that name")
    assert describe_author("", "t1") == "not by a job: by hand, or by a consumer"
    assert describe_author(None, "t1") == "–"
    assert describe_author(Author("r", "t1").sign("q", 1).to_metadata(), "t1").startswith("run r")
