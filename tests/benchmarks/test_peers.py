from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers import environments
from benchmarks.peers.__main__ import _HEADINGS, PeerResult, list_cells
from benchmarks.peers.environments import REQUIREMENTS, find_python, find_version, is_ready
from benchmarks.peers.lines import count_code_lines
from benchmarks.peers.roster import FEW_RECORDS_A_SECOND, PEERS, RECORD_BY_RECORD
from benchmarks.report import Run
from lib.errors import SetupError
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.setup.environments import digest
from lib.setup.places import PROJECT_ROOT
from tests.benchmarks.course import COURSE

PROGRAMS = PROJECT_ROOT / "benchmarks" / "peers" / "programs"
WITH_ENVIRONMENT = [name for name, peer in PEERS.items() if peer.contestant.environment]


class TestLines:
    @pytest.mark.parametrize(
        ("source", "lines"),
        [
            ("", 0),
            ("# a comment\n\n", 0),
            ('"""Of a module."""\n', 0),
            ('def f():\n    """Of a\n    function.\n    """\n    return 1\n', 2),
            ('class C:\n    """Of a class."""\n    x = 1  # and a comment\n', 2),
            ('x = """no\ndocstring"""\n', 2),
            ("f(\n    1,\n\n    2,\n)\n", 4),
            ("async def f():\n    '''Doc.'''\n    await g()\n", 2),
            ("x = 1; y = 2\n", 1),
        ],
    )
    def test_only_code_counts(self, source: str, lines: int) -> None:
        assert count_code_lines(source) == lines


class TestRoster:
    def test_all_kinds_of_alternatives_take_part(self) -> None:
        assert list(PEERS) == [
            "job/onnx",
            "job/sql",
            "job/sklearn",
            "job/sql/real-time",
            "hand-written loop/sklearn/1",
            "hand-written loop/sklearn/2",
            "hand-written loop/onnx/1",
            "hand-written loop/onnx/2",
            "record-by-record",
            "quix-streams/at-least-once",
            "quix-streams/exactly-once",
            "mlflow-spark-udf",
            "bytewax",
            "faust",
        ]

    @pytest.mark.parametrize("name", [name for name in PEERS if name.startswith("job/")])
    def test_the_job_serves_with_settings_that_it_takes(self, name: str) -> None:
        command = PEERS[name].build_server(COURSE)
        script = next(at for at, part in enumerate(command) if part.endswith("score_stream.py"))
        settings = load_settings(ScoreStreamSettings, command[script + 1 :], environment={})

        assert settings.delivery == PEERS[name].contestant.guarantee
        assert settings.backend == PEERS[name].contestant.backend
        assert settings.trigger != "available-now"

    @pytest.mark.parametrize("name", WITH_ENVIRONMENT)
    def test_a_program_gets_the_model_and_its_own_python(self, name: str, tmp_path: Path) -> None:
        peer = PEERS[name]
        assert peer.contestant.environment is not None
        suffix = {"onnx": ".onnx", "sklearn": ".joblib"}[peer.contestant.backend]
        model = tmp_path / f"model{suffix}"
        model.touch()
        course = replace(COURSE, model=model)
        for command in (peer.contestant.build_command(course), peer.build_server(course)):
            assert str(find_python(peer.contestant.environment)) in command
            assert "127.0.0.1:9092" in command
            assert str(model) in command

    @pytest.mark.parametrize("name", WITH_ENVIRONMENT)
    def test_what_is_told_of_a_tool_is_pinned(self, name: str) -> None:
        contestant = PEERS[name].contestant
        assert contestant.environment is not None
        assert contestant.package is not None
        assert find_version(contestant.environment, contestant.package)[0].isdigit()

    def test_the_job_and_nothing_else_costs_no_code(self) -> None:
        for name, peer in PEERS.items():
            assert (peer.count_lines() == 0) == name.startswith("job/"), name

    def test_who_scores_record_by_record_is_offered_what_it_can_do(self) -> None:
        assert PEERS[RECORD_BY_RECORD].most_rate == FEW_RECORDS_A_SECOND


class TestPrograms:
    def test_each_is_in_the_roster(self) -> None:
        used = {source for peer in PEERS.values() for source in peer.sources}
        programs = {path for path in PROGRAMS.glob("*.py") if path.name != "__init__.py"}
        assert programs <= used

    @pytest.mark.parametrize("path", sorted(PROGRAMS.glob("*.py")), ids=lambda path: path.stem)
    def test_none_borrows_how_the_project_works(self, path: Path) -> None:
        """Programs may borrow only names of fields and what is written by hand for them."""
        borrowed = {
            node.module
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module
        }
        ours = {name for name in borrowed if name.split(".")[0] in {"lib", "jobs", "benchmarks"}}
        assert ours <= {"benchmarks.hand_checks", "benchmarks.hand_scorer", "benchmarks.telco"}


class TestEnvironments:
    @pytest.mark.parametrize("path", sorted(REQUIREMENTS.glob("*.txt")), ids=lambda path: path.stem)
    def test_everything_is_pinned(self, path: Path) -> None:
        for line in path.read_text().splitlines():
            name, pin, version = line.partition("==")
            assert all((name, pin, version)), f"{path.name}: {line}"

    def test_each_has_requirements(self) -> None:
        names = {PEERS[name].contestant.environment for name in WITH_ENVIRONMENT}
        assert names == {path.stem for path in REQUIREMENTS.glob("*.txt")}

    def test_one_that_pip_did_not_finish_is_not_ready(self, tmp_path: Path) -> None:
        (tmp_path / "faust" / "bin").mkdir(parents=True)
        assert not is_ready("faust", tmp_path)

    def test_one_is_ready_until_its_requirements_change(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requirements, root = tmp_path / "requirements", tmp_path / "made"
        requirements.mkdir()
        (requirements / "tool.txt").write_text("tool==1\n")
        monkeypatch.setattr(environments, "REQUIREMENTS", requirements)
        (root / "tool").mkdir(parents=True)
        made = digest(requirements / "tool.txt")
        (root / "tool" / "requirements.sha256").write_text(made)
        assert is_ready("tool", root)
        (requirements / "tool.txt").write_text("tool==2\n")
        assert not is_ready("tool", root)

    def test_a_package_that_is_not_pinned_is_named_with_the_file(self) -> None:
        with pytest.raises(
            SetupError, match=r"faust\.txt: found no kafka, expected a line kafka=="
        ):
            find_version("faust", "kafka")


class TestTable:
    def test_a_row_has_all_columns(self) -> None:
        cells = list_cells(_result(rate=50_000.0), slowest=100.0)
        assert len(cells) == len(_HEADINGS)
        assert cells[:5] == ("bytewax", "at-least-once", "onnx", "50,000", "500")
        assert cells[5:] == ("6", "13", "1,000", "2.0 GiB", "46")

    def test_what_failed_says_so_and_has_no_rate(self) -> None:
        cells = list_cells(_result(rate=50_000.0, failure="3 records lost"), slowest=100.0)
        assert cells[0] == "bytewax (failed)"
        assert cells[3:5] == ("–", "–")

    def test_without_the_slowest_there_is_no_ratio(self) -> None:
        assert list_cells(_result(rate=50_000.0), slowest=None)[4] == "–"


def _result(rate: float, failure: str | None = None) -> PeerResult:
    drain = Run(
        contestant="bytewax",
        round=1,
        records=10,
        failure=failure,
        rate=rate,
        late_rate=None,
        first_s=1.0,
        finish_s=2.0,
        wall_s=3.0,
        peak_bytes=2 * 2**30,
        cpu_s=4.0,
        predictions=10,
        dead_letters=0,
    )
    return PeerResult(
        peer="bytewax",
        guarantee="at-least-once",
        model="onnx",
        tool="bytewax 0.21.1",
        lines=46,
        drain=drain,
        offered=1_000.0,
        p50_ms=6.2,
        p99_ms=12.8,
        failures=[failure] if failure else [],
    )
