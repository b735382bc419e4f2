"""Run a real Prometheus with the project's alert rules, in a hurry, and ask it."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from lib.address import Address
from lib.setup.places import PROJECT_ROOT
from lib.tools.broker.ports import pick_free_ports
from tests.support.waiting import wait_until

ALERTS = PROJECT_ROOT / "conf" / "monitoring" / "alerts.yml"
DASHBOARD = PROJECT_ROOT / "conf" / "monitoring" / "dashboard.json"
#: The durations of the rules are divided by this: five minutes are three seconds.
HASTE = 100
# The values of the dashboard's variables.
_VARIABLES = {
    "$job": ".*",
    "$instance": ".*",
    "$__rate_interval": "5s",
    "$__range": "1m",
}
# The time between two scrapes, and between two evaluations of the rules. A scrape may take as long.
_INTERVAL = "500ms"
_UNITS_MS = {
    "ms": 1,
    "s": 1_000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
}
_DURATION = re.compile(r"(?P<before>for: |\[|offset )(?P<number>\d+)(?P<unit>ms|s|m|h|d)\b")


@dataclass(frozen=True)
class Sample:
    """One value of a query's answer.

    Attributes:
        labels: the labels, with ``__name__`` if the query keeps it.
        value: the value.
    """

    labels: Mapping[str, str]
    value: float


class Prometheus:
    """A running Prometheus.

    Args:
        address: the address of its HTTP API.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    def query(self, expression: str) -> list[Sample]:
        """Return what an instant query answers now; nothing for what is not a number."""
        found = self._get("query", query=expression)["result"]
        if isinstance(found, list) and found and not isinstance(found[0], dict):
            return [Sample({}, float(found[1]))]  # a scalar: time and value
        samples = [Sample(it["metric"], float(it["value"][1])) for it in found]
        return [it for it in samples if not math.isnan(it.value)]

    def list_alerts(self) -> list[dict[str, str]]:
        """Return the labels of the alerts that fire, with ``alertname``."""
        alerts = self._get("alerts")["alerts"]
        return [it["labels"] for it in alerts if it["state"] == "firing"]

    def find_firing(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {labels["alertname"] for labels in self.list_alerts()}

    def is_ready(self) -> bool:
        """Tell whether it answers queries."""
        try:
            with urlopen(f"http://{self.address}/-/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError):
            return False

    def _get(self, path: str, **parameters: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]


def list_panel_queries() -> list[tuple[str, str]]:
    """Return (panel's title, expression without variables) for each query of the dashboard."""
    found = []
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            expression = target["expr"]
            for name, value in _VARIABLES.items():
                expression = expression.replace(name, value)
            found.append((panel["title"], expression))
    return found


def find_program(name: str) -> str:
    """Return the path of ``prometheus`` or ``promtool``; skip the test where there is none.

    A module calls it as a whole, so that pytest's summary has one line, and nothing is started.
    """
    path = shutil.which(name)
    if path is None:
        pytest.skip(
            "tests of alerts and dashboard need Debian's package prometheus",
            allow_module_level=True,
        )
    return path


@contextmanager
def start_prometheus(
    targets: Mapping[str, Sequence[Address]], folder: Path, rules: Path = ALERTS
) -> Iterator[Prometheus]:
    """Run a Prometheus for as long as a block lasts.

    It scrapes and evaluates twice a second, and time passes :data:`HASTE` times as fast in its
    rules. Thresholds stay as they are.

    Args:
        targets: the name of a job → the addresses that serve its metrics.
        folder: an empty folder for its files.
        rules: the file with alert rules.
    """
    program = find_program("prometheus")
    hasty = folder / "alerts.yml"
    hasty.write_text(divide_durations(rules.read_text(encoding="utf-8"), HASTE), encoding="utf-8")
    jobs = [
        {"job_name": job, "static_configs": [{"targets": [str(it) for it in addresses]}]}
        for job, addresses in targets.items()
    ]
    config = folder / "prometheus.yml"
    # JSON is YAML.
    config.write_text(
        json.dumps(
            {
                "global": {"scrape_interval": _INTERVAL, "evaluation_interval": _INTERVAL},
                "rule_files": [str(hasty)],
                "scrape_configs": jobs,
            }
        ),
        encoding="utf-8",
    )
    address = Address("127.0.0.1", pick_free_ports(1)[0])
    log = folder / "prometheus.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [
                *(program, f"--config.file={config}", f"--web.listen-address={address}"),
                *(f"--storage.tsdb.path={folder / 'data'}", "--log.level=warn"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            found = Prometheus(address)
            wait_until(lambda: process.poll() is not None or found.is_ready())
            assert process.poll() is None, log.read_text()
            yield found
        finally:
            process.terminate()


def divide_durations(rules: str, divisor: int) -> str:
    """Divide all durations of alert rules: those after ``for:`` and ``offset``, and of ranges."""

    def divide(match: re.Match[str]) -> str:
        whole_ms = int(match["number"]) * _UNITS_MS[match["unit"]]
        return f"{match['before']}{whole_ms // divisor}ms"

    return _DURATION.sub(divide, rules)
