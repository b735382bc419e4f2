from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from lib.errors import SettingsError
from lib.record.contract_file import read_contract
from lib.record.violations import Rule
from lib.settings.base import IN_PLACE
from lib.settings.jobs.resend import ResendSettings
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from lib.setup.places import PROJECT_ROOT
from lib.store import ModelStore
from tests.support.process import run_python
from tests.support.stored_models import save_version


def load(
    *arguments: str, environment: dict[str, str] | None = None, file: Path | None = None
) -> ScoreStreamSettings:
    config = [] if file is None else ["--config", str(file)]
    return load_settings(ScoreStreamSettings, [*config, *arguments], environment or {})


@pytest.fixture
def write_config(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "job.toml"
        path.write_text(text)
        return path

    return write


def test_defaults_are_those_of_the_documentation() -> None:
    settings = load()

    assert settings.bootstrap_servers == "localhost:9092"
    assert settings.input_topic == "telco.raw.customers"
    assert settings.output_topic == "telco.churn.predictions"
    assert settings.dead_letter_topic == "telco.deadletter"
    assert (settings.delivery, settings.backend) == ("exactly-once", "auto")
    assert settings.model == "churn@champion"
    assert settings.dead_letter_format == "headers"


def test_names_are_those_of_the_version_that_scores_however_it_is_named(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "pipeline.onnx").write_bytes(b"model")

    loan = read_contract(PROJECT_ROOT / "tests" / "domains" / "loan.toml")
    version = save_version(ModelStore(tmp_path), write, loan)
    for model in ("churn@1", str(version.path), str(version.path / "pipeline.onnx")):
        settings = load("--store", str(tmp_path), "--model", model)
        assert settings.input_topic == "loan-default.records"


def test_file_then_environment_then_command_line(write_config: Any) -> None:
    file = write_config('input_topic = "file"\noutput_topic = "file"\ndead_letter_topic = "file"\n')
    environment = {"SCORE_OUTPUT_TOPIC": "env", "SCORE_DEAD_LETTER_TOPIC": "env"}

    settings = load("--dead-letter-topic", "flag", environment=environment, file=file)

    assert settings.input_topic == "file"
    assert settings.output_topic == "env"
    assert settings.dead_letter_topic == "flag"


def test_the_config_file_may_come_from_the_environment(write_config: Any) -> None:
    file = write_config("max_offsets_per_trigger = 7\n")

    assert load(environment={"SCORE_CONFIG": str(file)}).max_offsets_per_trigger == 7


def test_kafka_options_from_every_place(write_config: Any) -> None:
    file = write_config('[kafka]\n"security.protocol" = "SSL"\n')

    assert load(file=file).kafka == {"security.protocol": "SSL"}
    expected = {"client.id": "1", "client.rack": "2=3"}
    assert load(environment={"SCORE_KAFKA": "client.id=1,client.rack=2=3"}).kafka == expected
    both = load("--kafka", "client.id=3", file=file, environment={"SCORE_KAFKA": "client.rack=2"})
    assert both.kafka == {"security.protocol": "SSL", "client.rack": "2", "client.id": "3"}
    given = load("--kafka", "retries=5", "--kafka", "client.id=e=f,g").kafka
    assert given == {"retries": "5", "client.id": "e=f,g"}


def test_the_usual_kafka_variable_is_heard() -> None:
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "usual:1"}

    assert load(environment=environment).bootstrap_servers == "usual:1"
    own = {**environment, "SCORE_BOOTSTRAP_SERVERS": "own:1"}
    assert load(environment=own).bootstrap_servers == "own:1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('input_topc = "x"', r"unknown setting 'input_topc' .*did you mean input_topic\?"),
        ('[reader]\ntopic = "x"', r"unknown setting 'reader'"),
        ("input_topic = ", r"--config .*job\.toml: "),
        ("max_offsets_per_trigger = 0", r"--max-offsets-per-trigger: .*found 0"),
    ],
)
def test_a_wrong_file_is_one_clear_error(write_config: Any, text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(file=write_config(text))


@pytest.mark.parametrize("job", JOB_SETTINGS)
@pytest.mark.parametrize("name", ["local", "cluster"])
def test_every_job_takes_the_scoring_jobs_file(name: str, job: str) -> None:
    file = PROJECT_ROOT / "conf" / f"{name}.toml"
    written = tomllib.loads(file.read_text())

    required = ["--input", "in", "--output", "out"] if job == "replay" else []
    arguments = ["--config", str(file), *required]

    settings = load_settings(JOB_SETTINGS[job], arguments, {}).model_dump(mode="json")

    shared = written.keys() & settings.keys()
    assert shared
    assert {key: settings[key] for key in shared} == {key: written[key] for key in shared}


def test_a_key_of_another_job_is_left_alone(write_config: Any) -> None:
    file = write_config('show = "dead-letters"\ninput_topic = "x"')

    assert load(file=file).input_topic == "x"


def test_headers_to_carry_are_named_as_they_are_and_none_is_one_of_the_jobs_own() -> None:
    assert load().carried_headers == ("traceparent", "tracestate")
    settings = load("--carry-headers", "b3,X B3", "--carry-headers", "b3")
    assert settings.carried_headers == ("traceparent", "tracestate", "b3", "X B3", "b3")
    environment = {"SCORE_CARRY_HEADERS": "b3,baggage"}
    assert load(environment=environment).carry_headers == ["b3", "baggage"]

    for name in ("__connect.errors.topic", "__scoring.", "", " b3", "b3 ", "a\nb", "b3,"):
        with pytest.raises(SettingsError) as refused:
            load("--carry-headers", name)
        assert refused.value.message.startswith(
            "--carry-headers: expected names of headers without spaces around them, and none that"
            " begins with __connect.errors. or __scoring., which dead letters get from the job"
        )


def test_offsets_accepted_for_good_in_a_file_are_refused(write_config: Any) -> None:
    with pytest.raises(SettingsError, match=r"--accept-offsets: expected TOPIC@SUM"):
        load(file=write_config("accept_offsets = true"))
    assert load(file=write_config("accept_offsets = false")).accept_offsets == ""
    value = "telco.raw.customers@4f1c09ab77d2"
    assert load(file=write_config(f'accept_offsets = "{value}"')).accept_offsets == value


def test_a_missing_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"--config nowhere\.toml: no such file"):
        load(file=Path("nowhere.toml"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--delivery", "maybe"),
            r"--delivery: .*'exactly-once' or 'at-least-once', found 'maybe'",
        ),
        (("--backend", "pmml"), r"--backend: .*found 'pmml'"),
        (("--trigger", "soon"), r'--trigger: expected "available-now" or an interval'),
        (("--query-name", "a b"), r"--query-name: "),
        # This plain form is that of earlier releases.
        (
            ("--accept-offsets",),
            r"--accept-offsets: expected TOPIC@SUM, .*refusal prints the value",
        ),
        (("--accept-offsets", "--verbose"), r"--accept-offsets: expected TOPIC@SUM"),
        (("--accept-offsets", "0:12"), r"--accept-offsets: expected TOPIC@SUM"),
        (("--starting-offsets", "middle"), r"--starting-offsets: "),
        (("--kafka", "group.id=x"), r"--kafka sets group\.id"),
        (("--kafka", "ssl"), r"--kafka: expected KEY=VALUE"),
    ],
)
def test_a_wrong_value_is_one_clear_error(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        load(*arguments)


@pytest.mark.parametrize("trigger", ["available-now", "500 milliseconds", "1 second", "0 seconds"])
def test_triggers_of_the_documentation_are_accepted(trigger: str) -> None:
    assert load("--trigger", trigger).trigger == trigger


@pytest.mark.parametrize("job", JOB_SETTINGS)
def test_help_names_the_flag_and_the_variable_of_every_setting_and_which_wins(
    job: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ending:
        load_settings(JOB_SETTINGS[job], ["--help"], {})

    assert ending.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for name, field in JOB_SETTINGS[job].model_fields.items():
        if IN_PLACE not in field.metadata:
            assert f"--{name.replace('_', '-')}" in text
        assert re.search(rf"\((default: [^;]*; |required; )?SCORE_{name.upper()}\)", text), name
    assert "Undefined" not in text
    assert text.endswith(
        "A flag wins over the environment variable in parentheses, that one over the file of"
        " --config, and the file over the default. docs/settings.md has all settings."
    )


def test_an_error_never_shows_a_kafka_option() -> None:
    with pytest.raises(SettingsError) as error:
        load("--kafka", "group.id=x", environment={"SCORE_KAFKA": "sasl.password=hunter2"})

    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--rule", "not_utf8", "--rule", "not_json"], {}),
        (["--rule", "not_utf8,not_json"], {}),
        (["--rule", "NOT_UTF8", "--rule", "NOT_JSON"], {}),
        ([], {"SCORE_RULE": "not_utf8,not_json"}),
    ],
)
def test_rules_are_named_in_every_usual_way(
    arguments: list[str], environment: dict[str, str]
) -> None:
    settings = load_settings(ResendSettings, arguments, environment)

    assert settings.rule == (Rule.NOT_UTF8, Rule.NOT_JSON)


def test_a_rule_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(SettingsError, match=r"--rule\.0: .*'null_value'.*found 'not_utf'"):
        load_settings(ResendSettings, ["--rule", "not_utf"], {})


def test_lines_are_printed_with_their_exit_code_and_a_closed_pipe_ends_them_in_silence() -> None:
    code = (
        "import sys\n"
        "from lib.settings.command import print_lines\n"
        "def lines():\n"
        "    for number in range(int(sys.argv[1])): yield str(number)\n"
        "    return 3\n"
        "sys.exit(print_lines(lines()))"
    )
    few = run_python("-c", code, "2")
    many = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c {shlex.quote(code)} 100000 | head -1"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert (few.returncode, few.stdout, few.stderr) == (3, "0\n1\n", "")
    assert (many.stdout, many.stderr) == ("0\n", "")
