"""The report of drift names the worst features first, in every form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lib.drift.folder import write_line
from lib.drift.window import Window
from lib.errors import SettingsError, SourceError
from lib.settings.drift import DriftReportSettings
from lib.tools.drift.report import report
from tests.drift.profiles import draw_customers, fill_window


def save(checkpoint: Path, *windows: Window, opened: Window | None = None) -> None:
    for folder in ("windows", "states"):
        (checkpoint / "drift" / folder).mkdir(parents=True)
    for number, window in enumerate(windows, start=1):
        window.number, window.began_s, window.ended_s = number, 3_600.0, 3_600.0 * (number + 1)
        path = checkpoint / "drift" / "windows" / str(number)
        path.write_text(write_line(window.to_json()))
    state = {"window": None if opened is None else opened.to_json(), "number": 1, "through": {}}
    (checkpoint / "drift" / "states" / "9").write_text(write_line(state))


def run(checkpoint: Path, output: Path | None = None, windows: int = 10) -> str:
    settings = DriftReportSettings(
        query_name="scoring",
        checkpoint=str(checkpoint),
        output=None if output is None else str(output),
        windows=windows,
    )
    return "\n".join(report(settings))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save(
        tmp_path / "checkpoint",
        fill_window(draw_customers(600, seed=3)),
        fill_window(draw_customers(100, seed=4)),
        fill_window(draw_customers(600, seed=5, PaymentMethod="Mailed check"), {"Contract": 6}),
    )
    return tmp_path / "checkpoint"


def test_the_console_shows_the_worst_feature_its_bins_and_the_windows(checkpoint: Path) -> None:
    lines = run(checkpoint).splitlines()

    assert lines[0] == "Drift of churn@1/onnx, query scoring"
    assert " ".join(lines[1:4]).startswith(
        "Window 3 from 1970-01-01 01:00 to 1970-01-01 04:00 UTC: 606 records answered, 600"
        " counted. PaymentMethod drifted."
    )
    (row,) = [
        line for line in lines if line.startswith("PaymentMethod ") and "training" not in line
    ]
    assert row.endswith("0.200    0.0%    0.0%  drifted")
    after = lines[lines.index(row) + 1 :]
    bins = [line for line in after if line.startswith("  Mailed check")]
    assert bins[0].split()[-2:] == ["22.5%", "100.0%"]
    contract = next(line for line in lines if line.startswith("Contract "))
    assert contract.split()[-2:] == ["1.0%", "0.0%"]
    numbers = [line.split()[0] for line in lines[-3:]]
    assert numbers == ["3", "2", "1"]
    assert lines[-2].endswith("–  too few records")
    assert max(map(len, lines)) <= 80


def test_files_have_the_same_in_other_forms(checkpoint: Path, tmp_path: Path) -> None:
    for name in ("report.html", "report.md", "report.json"):
        assert run(checkpoint, tmp_path / name).endswith(f"wrote {tmp_path / name}")

    assert "<h1>Drift of churn@1/onnx, query scoring</h1>" in (tmp_path / "report.html").read_text()
    assert "| PaymentMethod |" in (tmp_path / "report.md").read_text()
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["window"], found["counted"], found["is_open"]) == (3, 600, False)
    worst = found["features"][0]
    assert (worst["name"], worst["is_over"]) == ("PaymentMethod", True)
    assert [it["window"] for it in found["windows"]] == [3, 2, 1]
    assert len(worst["labels"]) == len(worst["training"]) == len(worst["found"])


def test_a_first_window_is_reported_while_it_is_open(tmp_path: Path) -> None:
    save(tmp_path, opened=fill_window(draw_customers(100, seed=4)))

    text = " ".join(run(tmp_path).split())

    assert "Window 1, still open," in text
    assert "Fewer than 500 records say little." in text


def test_only_so_many_windows_are_listed(checkpoint: Path) -> None:
    assert [line.split()[0] for line in run(checkpoint, windows=1).splitlines()[-1:]] == ["3"]


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"ends with one of \.html, \.md, \.json"):
        run(tmp_path, tmp_path / "report.pdf")
    with pytest.raises(SettingsError, match="no such folder"):
        run(tmp_path / "none")
    with pytest.raises(SourceError, match="found no counts of drift in it"):
        run(tmp_path)
    save(tmp_path, opened=None)
    (tmp_path / "drift" / "windows" / "7").write_text("{}\n")
    with pytest.raises(SourceError, match="drift/windows/7: found no window"):
        run(tmp_path)
    (tmp_path / "drift" / "windows" / "7").write_text('{"number"')
    with pytest.raises(SourceError, match="drift/windows/7: "):
        run(tmp_path)
