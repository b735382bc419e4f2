"""The dashboard is what its panels say, and every panel can be understood."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from lib.telemetry.metrics import METRICS, PREFIX, MetricSpec
from tests.monitoring.write_dashboard import ROWS, build_dashboard, write_dashboard
from tests.support.prometheus import DASHBOARD

PANELS = [panel for panel in build_dashboard()["panels"] if panel["type"] != "row"]


def test_the_file_is_up_to_date() -> None:
    # To bring it up to date, run .venv/bin/python -m tests.monitoring.write_dashboard
    assert DASHBOARD.read_text(encoding="utf-8") == write_dashboard()


def test_the_rows_answer_the_questions_of_whoever_is_on_call() -> None:
    assert list(ROWS) == [
        "Is it well?",
        "Throughput",
        "Latency",
        "Lag",
        "Dead letters",
        "Model",
        "Challenger and shadows",
        "Drift",
        "Quality by outcomes",
        "Batches",
        "Restarts",
        "Memory and processor",
        "Kafka",
    ]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_title_a_description_and_a_unit(panel: dict[str, Any]) -> None:
    description = str(panel["description"])

    assert panel["title"]
    assert description[0].isupper()
    assert description.endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        assert target["datasource"]["uid"] == "${datasource}"
        assert 'job=~"$job"' in target["expr"] or "ALERTS" in target["expr"]
        assert "*}" not in target["expr"]


@pytest.mark.parametrize("spec", METRICS, ids=lambda spec: spec.name)
def test_a_metric_is_shown(spec: MetricSpec) -> None:
    queries = " ".join(target["expr"] for panel in PANELS for target in panel["targets"])

    assert PREFIX + spec.name in queries


def test_no_panel_covers_another_one() -> None:
    places = [panel["gridPos"] for panel in build_dashboard()["panels"]]

    for one, other in combinations(places, 2):
        is_beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        is_below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert is_beside or is_below


def test_numbers_of_panels_are_unique() -> None:
    numbers = [panel["id"] for panel in build_dashboard()["panels"]]

    assert len(set(numbers)) == len(numbers)
