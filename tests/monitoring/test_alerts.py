"""The alert rules fire when they must, and only then: by promtool, with literal series."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types

from lib.setup.places import PROJECT_ROOT
from lib.telemetry.metrics import METRICS, PREFIX
from tests.docs.documents import list_anchors
from tests.support.prometheus import ALERTS, divide_durations, find_program

CASES = sorted(Path(__file__).parent.glob("*_test.yml"))
RULES = yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
NAMES = [rule["alert"] for rule in RULES]


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_rules_keep_their_cases(case: Path) -> None:
    done = subprocess.run(
        [find_program("promtool"), "test", "rules", case], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_of_a_configuration_is_valid() -> None:
    config = PROJECT_ROOT / "conf" / "monitoring" / "prometheus.yml"
    done = subprocess.run(
        [find_program("promtool"), "check", "config", config], capture_output=True, text=True
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "16 rules found" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_has_cases_in_which_it_fires_and_does_not(name: str) -> None:
    checks = [
        check
        for case in CASES
        for test in yaml.safe_load(case.read_text())["tests"]
        for check in test["alert_rule_test"]
        if check["alertname"] == name
    ]

    assert [check for check in checks if check.get("exp_alerts")]
    assert [check for check in checks if not check.get("exp_alerts")]


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    document, _, anchor = rule["annotations"]["runbook_url"].partition("#")

    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert document == "docs/on_call.md"
    assert anchor == str(rule["alert"]).lower()
    assert anchor in list_anchors(document)


def test_the_names_of_metrics_in_the_rules_exist() -> None:
    known = {PREFIX + spec.name for spec in METRICS}
    words = set(yaml.safe_dump(RULES).replace("_bucket[", "[").split(PREFIX)[1:])
    found = {PREFIX + word.split("[")[0].split("{")[0].split(")")[0].split()[0] for word in words}

    assert {name.rstrip("\"'.,") for name in found} <= known


def test_durations_are_divided() -> None:
    rules = "expr: rate(x[10m]) > 60 and y offset 2h\nfor: 5m\n"

    assert divide_durations(rules, 200) == (
        "expr: rate(x[3000ms]) > 60 and y offset 36000ms\nfor: 1500ms\n"
    )
