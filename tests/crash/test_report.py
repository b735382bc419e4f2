from __future__ import annotations

import json

from tests.crash.report import CampaignReport, LegReport, Outcome

FAULTLESS = LegReport(
    setup="spark, local",
    site="one broker",
    records=1_000,
    messages=1_000,
    faults={},
    faults_live={},
    examples={},
    replays=1,
    starts=3,
    models={"churn@1/spark": 980},
    duration_s=60.0,
    outcomes=(
        Outcome("driver", True, True, 8.0, 9.0, 1, {"imports": 1.0}),
        Outcome("step committed", True, True, 10.0, 11.0, 1, {"imports": 3.0}),
        Outcome("request EndTxn hold", False, True, 0.5, 3.0, 0),
        Outcome("worker", True, False, 0.1, 0.2, 0),
    ),
)
FAULTY = LegReport(
    setup="spark, local",
    site="three brokers",
    records=500,
    messages=520,
    faults={"duplicated": 20},
    faults_live={"duplicated": 20, "reordered": 1},
    examples={"duplicated": ("number 7",)},
    replays=0,
    starts=1,
    models={},
    duration_s=60.0,
    outcomes=(),
)


def test_sums_are_over_all_legs_and_strikes_that_struck() -> None:
    report = CampaignReport(7, "exactly-once", [FAULTLESS, FAULTY])

    assert report.records == 1_500
    assert report.kills == 2
    assert report.faults == {"duplicated": 20, "reordered": 1}


def test_the_tables_show_times_by_kind_of_strike() -> None:
    text = CampaignReport(7, "exactly-once", [FAULTLESS]).to_text()

    assert "| kills, other strikes | 2, 1 |" in text
    assert "| duplicated | 0 |" in text
    assert "| from kill to first commit, median / p95 / max | 9.0 / 10.0 / 10.0 |" in text
    assert "| driver | 1 | 8.0 / 8.0 / 8.0 | 9.0 / 9.0 / 9.0 |" in text
    assert "| imports | 2.00 |" in text
    assert "worker" not in text


def test_each_site_has_a_row() -> None:
    text = CampaignReport(7, "exactly-once", [FAULTLESS, FAULTY, FAULTLESS]).to_text()

    assert "| one broker | 2 | 4, 2 | 2,000 |" in text
    assert "| three brokers | 1 | 0, 0 | 500 |" in text


def test_a_leg_survives_being_written_and_read() -> None:
    written = json.dumps(FAULTLESS.to_fields())

    assert LegReport.from_fields(json.loads(written)) == FAULTLESS


def test_the_report_names_what_it_ran_with() -> None:
    fields = json.loads(CampaignReport(7, "exactly-once", [FAULTLESS]).to_json())

    assert fields["seed"] == 7
    assert fields["versions"].keys() >= {"python", "pyspark", "confluent-kafka"}
