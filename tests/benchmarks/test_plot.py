from __future__ import annotations

import json
from pathlib import Path

from benchmarks.plot import main
from benchmarks.report import format_json, summarise
from tests.benchmarks.test_report import RUNS


def test_a_report_becomes_a_picture(tmp_path: Path) -> None:
    conditions = {
        "settings": {"records": 1_000, "rounds": 2},
        "machine": {"cores": 2},
        "versions": {"pyspark": "4.2.0", "commit": "abc"},
    }
    report, picture = tmp_path / "report.json", tmp_path / "rates.png"
    report.write_text(format_json(conditions, summarise(RUNS), RUNS))

    assert main([str(report), str(picture)]) == 0

    assert picture.read_bytes().startswith(b"\x89PNG")
    assert len(json.loads(report.read_text())["rows"]) == 3
