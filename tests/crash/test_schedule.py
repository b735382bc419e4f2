from __future__ import annotations

import json
from itertools import chain

import pytest

from tests.crash.drawing import CUTS, build_schedule
from tests.crash.proxy import Action
from tests.crash.schedule import KILLS, ON_THREE, STEPS, Kind, Leg, Schedule, Site, Strike
from tests.crash.strikes import STRIKES
from tests.crash.strikes.brokers import hash_like_java


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


def test_three_brokers_get_forty_strikes_of_their_own_and_networks_are_cut() -> None:
    legs = build_schedule(1, kills=200, records=1_000_000).legs
    by_site = {site: [s for leg in legs if leg.site is site for s in leg.strikes] for site in Site}

    assert sum(strike.kind in ON_THREE for strike in by_site[Site.THREE]) >= 30
    assert len(by_site[Site.THREE]) >= 60
    assert {strike.kind for strike in by_site[Site.NETWORK]} == {Kind.CUT}
    assert {strike.parameters["who"] for strike in by_site[Site.NETWORK]} == set(CUTS)
    assert {strike.kind for strike in by_site[Site.FORGETFUL]} == {Kind.IDLE}
    for site in (Site.ONE, Site.FORGETFUL):
        assert not {strike.kind for strike in by_site[site]} & ON_THREE


def test_a_coordinator_is_found_by_the_hash_that_java_has() -> None:
    # In Java, "laboratory".hashCode() is -1190760525; Kafka takes the sign away.
    assert hash_like_java("laboratory") == 956_723_123
    assert hash_like_java("churn-scoring") == 482_040_046


def test_each_kind_has_its_way_to_strike() -> None:
    assert STRIKES.keys() == set(Kind)
    assert Kind.REQUEST not in KILLS


def test_a_schedule_can_be_written_by_hand() -> None:
    strikes = (Strike(Kind.BROKER, 100, 0.5, {"down_s": 1.0}), Strike(Kind.DRIVER, 10, 0.0))
    schedule = Schedule(0, (Leg("spark", False, 1_000, strikes),))

    fields = json.loads(schedule.to_json())
    assert fields["legs"][0]["strikes"][0]["kind"] == "broker"
    # Files from the time before there were sites describe legs on one broker.
    assert fields["legs"][0].pop("site") == "one broker"
    assert Schedule.from_json(json.dumps(fields)) == schedule
    assert schedule.kills == 2
