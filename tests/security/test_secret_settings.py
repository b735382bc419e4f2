"""Secrets come only from the environment or from a file that others cannot read."""

from __future__ import annotations

from pathlib import Path

import pytest

from lib.errors import SettingsError
from lib.kafka.secrets import hide_secrets, is_secret
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings

SECRET_KEYS = (
    "sasl.password",
    "sasl.jaas.config",
    "ssl.key.password",
    "ssl.keystore.password",
    "ssl.truststore.password",
    "ssl.key.pem",
    "ssl.keystore.key",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.assertion.private.key.pem",
)
OPEN_KEYS = (
    "sasl.username",
    "sasl.mechanism",
    "security.protocol",
    "ssl.ca.location",
    "ssl.key.location",
    "ssl.keystore.location",
    "ssl.certificate.pem",
    "sasl.oauthbearer.token.endpoint.url",
    "client.id",
)


def load(*arguments: str, **environment: str) -> ScoreStreamSettings:
    return load_settings(ScoreStreamSettings, arguments, environment)


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_a_secret_on_the_command_line_is_refused_with_the_way_out(key: str) -> None:
    for arguments in (["--kafka", f"{key}=hunter2"], [f"--kafka={key.upper()}=hunter2"]):
        with pytest.raises(SettingsError, match=r"--kafka-secrets .*SCORE_KAFKA") as error:
            load(*arguments)
        assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("key", OPEN_KEYS)
def test_what_is_no_secret_may_stand_on_the_command_line(key: str) -> None:
    assert not is_secret(key)
    assert load("--kafka", f"{key}=x").kafka == {key: "x"}


@pytest.mark.parametrize("flag", ["--kafk", "--kaf", "--kafka.sasl.password", "--kafka-secret"])
def test_no_other_spelling_of_the_flag_takes_a_secret(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([flag, "sasl.password=hunter2"], [f"{flag}=sasl.password=hunter2"]):
        with pytest.raises((SettingsError, SystemExit)) as error:
            load(*arguments)
        assert "hunter2" not in str(error.value) + capsys.readouterr().err


def test_a_secret_may_come_from_the_environment() -> None:
    assert load(SCORE_KAFKA="sasl.password=hunter2").kafka == {"sasl.password": "hunter2"}


def test_a_file_of_secrets_may_be_named_in_every_place(tmp_path: Path) -> None:
    secrets = write(tmp_path / "secrets.toml", '"sasl.password" = "a,b=c"\n')
    config = write(
        tmp_path / "job.toml", f'kafka_secrets = "{secrets}"\n[kafka]\n"client.id" = "b"\n'
    )

    expected = {"sasl.password": "a,b=c"}
    assert load("--kafka-secrets", str(secrets)).kafka == expected
    assert load(SCORE_KAFKA_SECRETS=str(secrets)).kafka == expected
    assert load("--config", str(config)).kafka == {"client.id": "b", **expected}


def test_the_environment_wins_over_the_file_of_secrets(tmp_path: Path) -> None:
    secrets = write(tmp_path / "secrets.toml", '"sasl.password" = "old"\n"sasl.username" = "ada"\n')

    found = load("--kafka-secrets", str(secrets), SCORE_KAFKA="sasl.password=new").kafka

    assert found == {"sasl.password": "new", "sasl.username": "ada"}


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
def test_a_file_of_secrets_that_others_can_read_or_change_is_refused(
    tmp_path: Path, mode: int
) -> None:
    secrets = write(tmp_path / "secrets.toml", '"sasl.password" = "hunter2"\n', mode)

    with pytest.raises(SettingsError, match=rf"its mode is {mode:04o}: .*chmod 600") as error:
        load("--kafka-secrets", str(secrets))

    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_owner_and_group_may_read_a_file_of_secrets(tmp_path: Path, mode: int) -> None:
    secrets = write(tmp_path / "secrets.toml", '"sasl.password" = "hunter2"\n', mode)

    assert load("--kafka-secrets", str(secrets)).kafka == {"sasl.password": "hunter2"}


def test_a_configuration_file_with_a_secret_must_be_closed_too(tmp_path: Path) -> None:
    text = '[kafka]\n"sasl.password" = "hunter2"\n'
    config = write(tmp_path / "job.toml", text, 0o644)

    with pytest.raises(SettingsError, match=r"--config .*job\.toml: holds secrets, .*0644"):
        load("--config", str(config))
    config.chmod(0o600)
    assert load("--config", str(config)).kafka == {"sasl.password": "hunter2"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('sasl.password = "hunter2"', r"sasl: expected text, .*names with dots in quotes"),
        ('[kafka]\n"sasl.password" = "hunter2"', r"kafka: expected text"),
        ('"sasl.password" = hunter2', r"Invalid value"),
        ('"group.id" = "hunter2"', r"--kafka sets group\.id"),
    ],
)
def test_a_wrong_file_of_secrets_is_one_error_that_shows_nothing_of_it(
    tmp_path: Path, text: str, message: str
) -> None:
    secrets = write(tmp_path / "secrets.toml", text)

    with pytest.raises(SettingsError, match=message) as error:
        load("--kafka-secrets", str(secrets))

    assert "hunter2" not in str(error.value)


def test_a_missing_or_binary_file_of_secrets_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--kafka-secrets nowhere\.toml: no such file"):
        load("--kafka-secrets", "nowhere.toml")
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(SettingsError, match=r"--kafka-secrets .*folder: Is a directory"):
        load("--kafka-secrets", str(folder))
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfehunter2")
    binary.chmod(0o600)
    with pytest.raises(SettingsError, match=r"binary\.toml: not UTF-8 text") as error:
        load("--kafka-secrets", str(binary))
    assert "hunter2" not in str(error.value)


def test_settings_that_are_printed_show_no_secret() -> None:
    settings = load(SCORE_KAFKA="sasl.password=hunter2")

    assert "hunter2" not in f"{settings} {settings!r}"


def test_a_library_that_repeats_a_secret_is_not_repeated() -> None:
    options = {"sasl.password": "hunter2", "sasl.username": "ada", "ssl.key.password": ""}

    hidden = hide_secrets("cannot use hunter2 of ada", options)

    assert hidden == "cannot use [hidden] of ada"
