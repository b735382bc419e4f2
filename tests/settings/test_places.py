"""Each setting of each job is read from file, environment and command line in real processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lib.errors import SettingsError
from lib.settings.jobs.replay import ReplaySettings
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from tests.support.process import run_python

# Setting → the text of its variable, and the value that it stands for. None is a default.
VALUES: dict[str, tuple[str, object]] = {
    "accept_gone": ("true", True),
    "action": ("set", "set"),
    "as_of": ("2026-11-23", "2026-11-23"),
    "accept_offsets": ("records@4f1c09ab77d2", "records@4f1c09ab77d2"),
    "backend": ("sklearn", "sklearn"),
    "bad_share": ("0.25", 0.25),
    "batch_timeout": ("700", 700.0),
    "bootstrap_servers": ("one:1,two:2", "one:1,two:2"),
    "brake": ("alert", "alert"),
    "candidates": (
        "logistic,hist-gradient-boosting",
        ["logistic", "hist-gradient-boosting"],
    ),
    "challenger": ("churn@2", "churn@2"),
    "challenger_share": ("0.25", 0.25),
    "checkpoint": ("s3a://bucket/a b", "s3a://bucket/a b"),
    "command": ("show", "show"),
    "carry_headers": ("b3,baggage", ["b3", "baggage"]),
    "columns": ("tenure,a b", ["tenure", "a b"]),
    "commit": ("executor", "executor"),
    "console": ("127.0.0.1:9090", "127.0.0.1:9090"),
    "console_names": ("a.example,b.example", ["a.example", "b.example"]),
    "console_shows_records": ("true", True),
    "console_token_file": ("/etc/token", "/etc/token"),
    "contract": ("conf/other.toml", "conf/other.toml"),
    "correction": ("fix.py", "fix.py"),
    "cost_alarm": ("2.5", 2.5),
    "cost_missed": ("40", 40.0),
    "count": ("12", 12),
    "create_topic": ("true", True),
    "dead_letter_format": ("envelope", "envelope"),
    "model_failure_limit": ("0.5", 0.5),
    "dead_letter_topic": ("dead", "dead"),
    "decoder": ("python", "python"),
    "drift": ("true", True),
    "drift_limit": ("0.3", 0.3),
    "drift_sample": ("5", 5),
    "drift_window": ("30 minutes", "30 minutes"),
    "drift_window_records": ("2000", 2_000),
    "dry_run": ("1", True),
    "ending_offsets": ("0:12,1:9", "0:12,1:9"),
    "error_type": (
        "validation_error,inference_error",
        ["validation_error", "inference_error"],
    ),
    "expected_outage": ("12.5", 12.5),
    "expect": ("expected.csv", "expected.csv"),
    "field": ("tenure,a b", ["tenure", "a b"]),
    "follow": ("yes", True),
    "format": ("json", "json"),
    "from_beginning": ("on", True),
    "horizon": ("28.5", 28.5),
    "input": ("days/{1,2}/*.parquet,[ab].parquet", ["days/{1,2}/*.parquet", "[ab].parquet"]),
    "input_topic": ("in", "in"),
    "kafka": (
        "security.protocol=SSL,client.id=a=b",
        {"security.protocol": "SSL", "client.id": "a=b"},
    ),
    "keep": ("true", True),
    "keep_alive": ("0.5", 0.5),
    "key": ("a,b c", ["a", "b c"]),
    "lease": ("0", 0),
    "log_format": ("json", "json"),
    "limit": ("3", 3),
    "mature_after": ("60", 60.0),
    "max_age": ("45", 45.0),
    "max_dead_letter_share": ("0.2", 0.2),
    "max_offsets_per_trigger": ("7", 7),
    "max_retries": ("3", 3),
    "metrics": ("127.0.0.1:9464", "127.0.0.1:9464"),
    "model": ("churn@2", "churn@2"),
    "name": ("null", "null"),
    "names": ("churn@2", ["churn@2"]),
    "once_accept_dead_letters": ("true", True),
    "onnx_provider": ("cuda", "cuda"),
    "original": ("true", True),
    "outage_limit": ("90", 90.0),
    "outcomes": ("told/daily", "told/daily"),
    "outcome_files": ("a/*.parquet,b", ["a/*.parquet", "b"]),
    "outcome_time": ("when", "when"),
    "outcome_topic": ("told", "told"),
    "over": ("500", 500),
    "open": ("true", True),
    "output": ('[1] "x"', '[1] "x"'),
    "outcomes_topic": ("outcomes", "outcomes"),
    "output_topic": ("out", "out"),
    "positive_class": ("Churned", "Churned"),
    "prediction_files": ("c,d", ["c", "d"]),
    "prediction_time": ("event", "event"),
    "reload_interval": ("2.5", 2.5),
    "reasons": ("3", 3),
    "recent_weeks": ("8", 8),
    "preprocessor": ("conf/scaler.joblib", "conf/scaler.joblib"),
    "overwrite": ("true", True),
    "owner_timeout": ("12.5", 12.5),
    "part_bytes": ("2097152", 2097152),
    "partitions": ("0,2,5-7", "0,2,5-7"),
    "promote": ("false", False),
    "query_name": ("query", "query"),
    "rate": ("2.5", 2.5),
    "real_time_batch": ("7 seconds", "7 seconds"),
    "resend_name": ("again", "again"),
    "restart_limit": ("0", 0),
    "rows": ("500", 500),
    "rule": ("not_utf8,not_json", ["not_utf8", "not_json"]),
    "seed": ("9", 9),
    "shadow": ("churn@3,models/a.joblib", ["churn@3", "models/a.joblib"]),
    "shadow_topic": ("shadows", "shadows"),
    "show": ("dead-letters", "dead-letters"),
    "segments": ("Contract,gender", ["Contract", "gender"]),
    "since": ("2h", "2h"),
    "source": ("records.csv", "records.csv"),
    "source_partitions": ("0,2", "0,2"),
    "start": ("latest", "latest"),
    "starting_offsets": ("latest", "latest"),
    "steady_count": ("20", 20),
    "steady_rate": ("1.5", 1.5),
    "stop_timeout": ("30", 30.0),
    "store": ("other models", "other models"),
    "threshold": ("0.25", 0.25),
    "to": ("earliest", "earliest"),
    "tolerance": ("0.01", 0.01),
    "topic": ("records", "records"),
    "topic_partitions": ("2", 2),
    "transaction_timeout": ("61", 61.0),
    "trigger": ("available-now", "available-now"),
    "trust": ("true", True),
    "until": ("2026-11-23", "2026-11-23"),
    "verbose": ("true", True),
    "windows": ("4", 4),
}
# These settings contradict others of the table.
ALONE: dict[str, tuple[str, object]] = {
    "action": ("copy", "copy"),
    "command": ("try", "try"),
    "data": ("a, b.csv", "a, b.csv"),
    "delivery": ("at-least-once", "at-least-once"),
    "from_group": ("other", "other"),
    "mode": ("real-time", "real-time"),
    "names": ("churn@3", ["churn@3"]),
}
# Each command of this job takes settings that others do not.
SENDING = {**VALUES, "command": ("resend", "resend")}
SHOWING: dict[str, tuple[str, object]] = {
    "command": ("show", "show"),
    "places": ("0@19,1@3", ["0@19", "1@3"]),
}
COMPARING: dict[str, tuple[str, object]] = {
    "command": ("compare", "compare"),
    "from_topics": ("true", True),
    "outcomes": ("a, b.csv", "a, b.csv"),
}
# These settings name files that have to exist; other tests read them.
FILES = {"config", "kafka_secrets"}
CASES = {
    "all that go together": (VALUES, tuple(it for it in JOB_SETTINGS if it != "dead_letters")),
    "sending dead letters": (SENDING, ("dead_letters",)),
    "showing dead letters": (SHOWING, ("dead_letters",)),
    "comparing by topics": (COMPARING, ("models",)),
    "the others": (ALONE, ("score_stream", "train", "offsets", "models")),
}
# This script prints the settings of jobs, whose command lines are separated by "::".
SCRIPT = """
import itertools, json, sys
from lib.errors import SettingsError
from lib.settings.jobs.replay import ReplaySettings
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS

found, words = {}, sys.argv[1:]
while words:
    job, *arguments = itertools.takewhile(lambda word: word != "::", words)
    words = words[len(arguments) + 2:]
    found[job] = load_settings(JOB_SETTINGS[job], arguments).model_dump(mode="json")
print(json.dumps(found))
"""


def own_names(job: str, values: dict[str, Any]) -> list[str]:
    return [name for name in JOB_SETTINGS[job].model_fields if name in values]


def expect(job: str, values: dict[str, tuple[str, object]]) -> dict[str, object]:
    return {name: values[name][1] for name in own_names(job, values)}


def load_by_process(
    jobs: tuple[str, ...], arguments: dict[str, list[str]], **environment: str
) -> dict[str, dict[str, object]]:
    words = [word for job in jobs for word in (job, *arguments.get(job, ()), "::")]
    done = run_python("-c", SCRIPT, *words, **environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, object]] = json.loads(done.stdout)
    return found


def write_flag(name: str, expected: object) -> list[str]:
    flag = f"--{name.replace('_', '-')}"
    match expected:
        case _ if name in ("action", "command"):
            return [str(expected)]
        case list() if name in ("names", "places"):
            return expected
        case bool():
            return [flag if expected else flag.replace("--", "--no-", 1)]
        case list():
            return [word for value in expected for word in (flag, str(value))]
        case dict():
            return [word for key, value in expected.items() for word in (flag, f"{key}={value}")]
    return [flag, str(expected)]


def test_the_tables_hold_every_setting() -> None:
    names = {name for kind in JOB_SETTINGS.values() for name in kind.model_fields}

    assert VALUES.keys() | ALONE.keys() | SHOWING.keys() | COMPARING.keys() | FILES == names


def test_no_value_of_the_tables_is_a_default() -> None:
    for values, jobs in CASES.values():
        for job in jobs:
            for name, expected in expect(job, values).items():
                default = JOB_SETTINGS[job].model_fields[name].get_default()
                assert default != expected, (job, name)


@pytest.mark.parametrize("case", CASES)
def test_every_setting_is_read_from_the_environment(case: str) -> None:
    values, jobs = CASES[case]
    variables = {f"SCORE_{name.upper()}": text for name, (text, _) in values.items()}

    found = load_by_process(jobs, {"replay": []}, **variables)

    for job in jobs:
        expected = expect(job, values)
        assert {name: found[job][name] for name in expected} == expected


@pytest.mark.parametrize("case", CASES)
def test_every_setting_is_read_from_a_file(case: str, tmp_path: Path) -> None:
    values, jobs = CASES[case]
    file = tmp_path / "settings.toml"
    # JSON writes texts, numbers and lists as TOML does.
    lines = [f"{name} = {json.dumps(it)}" for name, (_, it) in values.items() if name != "kafka"]
    if "kafka" in values:
        lines += ["[kafka]", '"security.protocol" = "SSL"', '"client.id" = "a=b"']
    file.write_text("\n".join(lines))

    found = load_by_process(jobs, {job: ["--config", str(file)] for job in jobs})

    for job in jobs:
        expected = {**expect(job, values), "config": str(file)}
        assert {name: found[job][name] for name in expected} == expected


@pytest.mark.parametrize("case", CASES)
def test_every_setting_is_read_from_the_command_line(case: str) -> None:
    values, jobs = CASES[case]
    flags = {
        job: [word for name, it in expect(job, values).items() for word in write_flag(name, it)]
        for job in jobs
    }

    found = load_by_process(jobs, flags)

    for job in jobs:
        expected = expect(job, values)
        assert {name: found[job][name] for name in expected} == expected


@pytest.mark.parametrize(
    ("job", "variable", "value", "line"),
    [
        (
            *("score_stream", "SCORE_OUTPUT_TOPC", "x"),
            "error: unknown variable SCORE_OUTPUT_TOPC in the environment (did you mean"
            " SCORE_OUTPUT_TOPIC?)\n",
        ),
        (
            *("resend", "SCORE_RULE", "missing,not_utf"),
            "error: --rule.1: Input should be 'null_value', 'too_large', 'not_utf8', 'not_json',"
            " 'not_object', 'missing', 'wrong_type', 'not_allowed', 'out_of_range' or 'malformed',"
            " found 'not_utf' (correct the setting; --help lists them all)\n",
        ),
    ],
)
def test_a_job_ends_with_one_line_and_code_2_for_a_wrong_variable(
    job: str, variable: str, value: str, line: str
) -> None:
    done = run_python(f"jobs/{job}.py", **{variable: value})

    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("SCORE_INPT_TOPIC", "did you mean SCORE_INPUT_TOPIC?"),
        # A setting of another job is spelled wrong.
        ("SCORE_RESEND_NAM", "did you mean SCORE_RESEND_NAME?"),
        ("score_input_topic", "did you mean SCORE_INPUT_TOPIC?"),
        ("SCORE_input_topic", "did you mean SCORE_INPUT_TOPIC?"),
        ("SCORE_KAFKA_SECRET", "did you mean SCORE_KAFKA_SECRETS?"),
        ("SCORE_XYZZY", "correct the setting; --help lists them all"),
        ("SCORE_", "correct the setting; --help lists them all"),
    ],
)
def test_an_unknown_variable_is_refused_with_a_guess(variable: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(JOB_SETTINGS["score_stream"], [], {variable: "hunter2"})

    assert str(refusal.value) == f"unknown variable {variable} in the environment ({hint})"


@pytest.mark.parametrize(
    "variable",
    [
        "SCORE_TERMINAL",  # ./spark-submit.sh sets this
        "SCORE_SHOW",  # another job has this setting
        "score_board",  # another program reads this
        # Kubernetes sets these for services that are called score and score-stream.
        *("SCORE_SERVICE_HOST", "SCORE_SERVICE_PORT", "SCORE_SERVICE_PORT_HTTP", "SCORE_PORT"),
        *("SCORE_PORT_80_TCP", "SCORE_PORT_80_TCP_ADDR", "SCORE_STREAM_PORT_80_UDP_PROTO"),
        "SCORE_STREAM_SERVICE_HOST",
    ],
)
def test_variables_of_others_are_left_alone(variable: str) -> None:
    kind = JOB_SETTINGS["score_stream"]

    assert load_settings(kind, [], {variable: "x"}) == load_settings(kind, [], {})


def test_empty_variables_count_as_none() -> None:
    for job, kind in JOB_SETTINGS.items():
        required = ["--input", "in", "--output", "out"] if job == "replay" else []
        empty = {f"SCORE_{name.upper()}": "" for name in kind.model_fields}

        found = load_settings(kind, required, {**empty, "KAFKA_BOOTSTRAP_SERVERS": ""})

        assert found == load_settings(kind, required, {})


@pytest.mark.parametrize(
    ("given", "paths"),
    [
        (["a,b"], ["a", "b"]),
        (["a", "b,c"], ["a", "b", "c"]),
        (["{a,b}.parquet"], ["{a,b}.parquet"]),
        (["x/{a,b}/{1,2}.parquet,y"], ["x/{a,b}/{1,2}.parquet", "y"]),
        (["[a].parquet", 'b "c"', "null"], ["[a].parquet", 'b "c"', "null"]),
    ],
)
def test_a_list_is_split_at_commas_outside_of_braces(given: list[str], paths: list[str]) -> None:
    flags = [word for text in given for word in ("--input", text)]

    settings = load_settings(ReplaySettings, [*flags, "--output", "out"], {})

    assert settings.input == paths


def test_an_unknown_flag_is_refused_with_a_guess(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        load_settings(JOB_SETTINGS["score_stream"], ["--input-tpic", "x"], {})

    assert ending.value.code == 2
    assert capsys.readouterr().err.endswith(
        "error: unrecognized arguments: --input-tpic x (did you mean --input-topic?)\n"
    )
