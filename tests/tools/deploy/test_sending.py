"""A job in cluster mode gets files, and its command line names them as they are called there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from lib.errors import SettingsError
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.tools.deploy.sending import Sending, SentModel, plan_arguments


def plan(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    model: SentModel | None = None,
) -> Sending:
    variables = environment or {}
    settings = load_settings(ScoreStreamSettings, arguments, variables)
    return plan_arguments(settings, arguments, variables, model)


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "it's #1, 50%.toml"
    path.write_text('input_topic = "customers"\n')
    return path


@pytest.fixture
def secrets_file(tmp_path: Path) -> Path:
    path = tmp_path / "secrets.toml"
    path.touch(0o600)
    path.write_text('"sasl.password" = "x"\n')
    return path


def test_a_job_without_files_keeps_its_command_line() -> None:
    assert plan("--trigger", "available-now") == Sending(arguments=("--trigger", "available-now"))


@pytest.mark.parametrize("is_one_word", [True, False])
def test_settings_and_secrets_are_sent_and_named_as_they_are_over_there(
    settings_file: Path, secrets_file: Path, is_one_word: bool
) -> None:
    options = (("--config", settings_file), ("--kafka-secrets", secrets_file))
    words = [
        word
        for option, path in options
        for word in ([f"{option}={path}"] if is_one_word else [option, str(path)])
    ]

    sending = plan(*words, "--trigger", "available-now")

    folder = settings_file.parent.as_uri()
    assert sending.files == (
        f"{folder}/it%27s%20%231%2C%2050%25.toml#settings.toml",
        f"{folder}/secrets.toml#secrets.toml",
    )
    assert sending.arguments == (
        *("--trigger", "available-now"),
        *("--config", "settings.toml", "--kafka-secrets", "secrets.toml"),
    )


def test_files_that_variables_name_are_sent_too(settings_file: Path, secrets_file: Path) -> None:
    environment = {"SCORE_CONFIG": str(settings_file), "SCORE_KAFKA_SECRETS": str(secrets_file)}
    sending = plan(environment=environment)
    assert [uri.rpartition("#")[2] for uri in sending.files] == ["settings.toml", "secrets.toml"]
    assert sending.arguments == (
        *("--config", "settings.toml"),
        *("--kafka-secrets", "secrets.toml"),
    )


def test_secrets_that_the_settings_file_names_are_sent_too(
    settings_file: Path, secrets_file: Path
) -> None:
    settings_file.write_text(f'kafka_secrets = "{secrets_file}"\n')
    sending = plan("--config", str(settings_file))
    assert sending.arguments[-2:] == ("--kafka-secrets", "secrets.toml")
    assert sending.files[-1] == f"{secrets_file.as_uri()}#secrets.toml"


def test_variables_become_flags_less_those_that_a_flag_overrules() -> None:
    environment = {
        "SCORE_INPUT_TOPIC": "of the variable",
        "SCORE_OUTPUT_TOPIC": "overruled",
        "SCORE_VERBOSE": "true",
        "SCORE_KAFKA": "client.id=a,security.protocol=SSL",
        "KAFKA_BOOTSTRAP_SERVERS": "here:9092",
        "SCORE_TERMINAL": "/dev/pts/1",
    }
    sending = plan("--output-topic", "of the flag", environment=environment)
    assert set(zip(sending.arguments, sending.arguments[1:], strict=False)) >= {
        ("--output-topic", "of the flag"),
        ("--input-topic", "of the variable"),
        ("--kafka", "client.id=a"),
        ("--kafka", "security.protocol=SSL"),
        ("--bootstrap-servers", "here:9092"),
    }
    assert "--verbose" in sending.arguments
    assert "overruled" not in sending.arguments
    assert "/dev/pts/1" not in sending.arguments
    # The arguments mean on the cluster what they mean here.
    assert load_settings(ScoreStreamSettings, sending.arguments, {}) == load_settings(
        ScoreStreamSettings, ["--output-topic", "of the flag"], environment
    )


def test_a_secret_in_a_variable_is_refused_and_not_shown() -> None:
    with pytest.raises(SettingsError, match=r"SCORE_KAFKA holds sasl\.password") as refused:
        plan(environment={"SCORE_KAFKA": "sasl.password=hunter2"})
    assert "hunter2" not in str(refused.value)


def test_certificates_of_this_machine_are_sent_and_others_are_left_where_they_are(
    tmp_path: Path,
) -> None:
    for name in ("ca.pem", "own.pem", "login.pem"):
        (tmp_path / name).touch()
    options = {
        "ssl.ca.location": f"{tmp_path}/ca.pem",
        "https.ca.location": f"{tmp_path}/login.pem",
        "ssl.certificate.location": f"{tmp_path}/own.pem",
        "ssl.key.location": f"{tmp_path}/own.pem",
        "ssl.truststore.location": "/only/there.jks",
    }
    sending = plan(*(word for k, v in options.items() for word in ("--kafka", f"{k}={v}")))
    uri = tmp_path.as_uri()
    sent = ("ca.pem#0-ca.pem", "own.pem#1-own.pem", "login.pem#2-login.pem")
    assert sending.files == tuple(f"{uri}/{name}" for name in sent)
    assert load_settings(ScoreStreamSettings, sending.arguments, {}).kafka == {
        "ssl.ca.location": "0-ca.pem",
        "https.ca.location": "2-login.pem",
        "ssl.certificate.location": "1-own.pem",
        "ssl.key.location": "1-own.pem",
        "ssl.truststore.location": "/only/there.jks",
    }


def test_a_packed_model_takes_the_place_of_store_and_model(tmp_path: Path) -> None:
    model = SentModel(tmp_path / "m.zip", ("--store", "models", "--model", "churn@2"))
    sending = plan("--store=/srv/models", "--model", "churn@champion", model=model)
    assert sending.archives == (f"{tmp_path.as_uri()}/m.zip#models",)
    assert sending.arguments == ("--store", "models", "--model", "churn@2")


def test_the_last_of_a_repeated_option_counts(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    sending = plan("--config", f"{tmp_path}/a", "--verbose", f"--config={tmp_path}/b")
    assert sending.files == (f"{tmp_path.as_uri()}/b#settings.toml",)
    assert sending.arguments == ("--verbose", "--config", "settings.toml")


def test_the_words_of_the_command_line() -> None:
    sending = Sending(("a#b", "c"), ("d#e",), {"spark.x": "1"}, ("--flag",))
    assert sending.build_words("jobs/job.py") == [
        *("--files", "a#b,c", "--archives", "d#e", "--conf", "spark.x=1"),
        *("jobs/job.py", "--flag"),
    ]
