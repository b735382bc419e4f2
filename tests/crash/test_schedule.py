from __future__ import annotations

import json
from itertools import chain

import pytest

from tests.crash.proxy import Action
from tests.crash.schedule import KILLS, STEPS, Kind, Leg, Schedule, Strike, build_schedule
from tests.crash.strikes import STRIKES


def kinds_of(schedule: Schedule) -> set[Kind]:
    return {strike.kind for leg in schedule.legs for strike in leg.strikes}


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert build_schedule(7, kills=50, records=10_000) == build_schedule(
        7, kills=50, records=10_000
    )
    assert build_schedule(7, kills=50, records=10_000) != build_schedule(
        8, kills=50, records=10_000
    )


@pytest.mark.parametrize("kills", [1, 19, 20, 21, 200])
def test_a_schedule_has_at_least_the_kills_and_records_asked_for(kills: int) -> None:
    schedule = build_schedule(1, kills=kills, records=10_001)

    assert schedule.kills == kills
    assert schedule.records >= 10_001


def test_a_schedule_survives_being_written_and_read() -> None:
    schedule = build_schedule(3, kills=200, records=1_000_000)

    assert Schedule.from_json(schedule.to_json()) == schedule


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"seed": 1, "legs": [{"backend": "spark"}]}',
        '{"seed": 1, "legs": [{"backend": "spark", "is_cluster": false, "records": 1, "strikes":'
        ' [{"kind": "earthquake", "after_records": 1, "delay_s": 0, "parameters": {}}]}]}',
    ],
)
def test_a_file_that_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no schedule|earthquake"):
        Schedule.from_json(text)


def test_a_campaign_of_200_kills_has_every_kind_and_every_step() -> None:
    schedule = build_schedule(1, kills=200, records=1_000_000)

    assert kinds_of(schedule) == set(Kind)
    strikes = list(chain.from_iterable(leg.strikes for leg in schedule.legs))
    assert {s.parameters["step"] for s in strikes if s.kind is Kind.STEP} == set(STEPS)
    assert any(s.parameters.get("request") == "EndTxn" for s in strikes)
    assert {s.parameters["action"] for s in strikes if s.kind is Kind.REQUEST} == set(Action)


def test_a_leg_has_only_what_its_setup_allows() -> None:
    for seed in range(20):
        for leg in build_schedule(seed, kills=200, records=1_000).legs:
            kinds = {strike.kind for strike in leg.strikes}
            assert leg.is_cluster or Kind.EXECUTOR not in kinds
            assert leg.backend in ("sklearn", "onnx") or Kind.WORKER not in kinds


def test_each_kind_has_its_way_to_strike() -> None:
    assert STRIKES.keys() == set(Kind)
    assert Kind.REQUEST not in KILLS


def test_a_schedule_can_be_written_by_hand() -> None:
    strikes = (Strike(Kind.BROKER, 100, 0.5, {"down_s": 1.0}), Strike(Kind.DRIVER, 10, 0.0))
    schedule = Schedule(0, (Leg("spark", False, 1_000, strikes),))

    assert json.loads(schedule.to_json())["legs"][0]["strikes"][0]["kind"] == "broker"
    assert schedule.kills == 2
