"""Reads the settings of a job: TOML file < environment < command line.

Every field is a flag (``input_topic`` is ``--input-topic``), a variable (``SCORE_INPUT_TOPIC``) and
a key of the file that ``--config`` names. Jobs can share a file: each takes the keys that it has.
"""

from __future__ import annotations

import argparse
import difflib
import itertools
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, CliSettingsSource, PydanticBaseSettingsSource

from lib.errors import SettingsError
from lib.exit_codes import describe_exit_codes
from lib.kafka.secrets import (
    is_secret,
    read_secret_file,
    refuse_if_readable,
    refuse_on_command_line,
)
from lib.settings.base import ENVIRONMENT_PREFIX, JobSettings, name_flag
from lib.settings.domain import find_names

Settings = TypeVar("Settings", bound=JobSettings)

# Flags that took no value in earlier releases.
_ONCE_PLAIN = ("--accept-offsets",)


def load_settings(
    kind: type[Settings], arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> Settings:
    """Read a job's settings from all three places.

    Args:
        kind: the job's settings class; its docstring and fields make up ``--help``.
        arguments: the command line without the program's name.
        environment: variables; those of this process by default.

    Raises:
        SettingsError: unknown key, unreadable file or invalid value, with the place it came from.
        SystemExit: for ``--help``, and for flags that do not exist.
    """
    variables = os.environ if environment is None else environment
    early, remaining = _parse_early(_complete_plain(arguments))
    refuse_on_command_line(_guess_keys(remaining))
    file = _read_file(early.config or variables.get(f"{ENVIRONMENT_PREFIX}CONFIG"))
    file = _keep_own(kind, file)
    found = read_environment(kind, variables)
    chosen = file | found
    if early.config:
        chosen["config"] = early.config
    if "kafka" in kind.model_fields:
        if early.kafka_secrets is not None:
            chosen["kafka_secrets"] = early.kafka_secrets
        flags = _read_pairs(early.kafka)
        refuse_on_command_line(flags)
        secrets = chosen.get("kafka_secrets")
        # Both are merged, so that a password may come from another place than the other options.
        parts = (
            file.get("kafka", {}),
            {} if secrets is None else read_secret_file(Path(str(secrets))),
            found.get("kafka", {}),
            flags,
        )
        chosen["kafka"] = {key: value for part in parts for key, value in part.items()}

    class Loaded(kind):  # type: ignore[valid-type, misc]
        """Adds the command line to the settings from file and environment."""

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], init_settings: Any, **_: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return CliSettingsSource(
                settings_cls,
                cli_parse_args=remaining,
                cli_kebab_case=True,
                cli_implicit_flags=True,
                cli_hide_none_type=True,
                cli_avoid_json=True,
            ), init_settings

    Loaded.__doc__ = f"{kind.__doc__}\n\n{describe_exit_codes()}"
    try:
        settings = kind.model_validate(Loaded(**chosen).model_dump())
        # The names of the domain come last, because they depend on the other settings.
        names = find_names(settings)
        return kind.model_validate(settings.model_dump() | names) if names else settings
    except ValidationError as error:
        raise SettingsError(_describe(error)) from error


def _parse_early(arguments: Iterable[str]) -> tuple[argparse.Namespace, list[str]]:
    """Parse arguments that the settings library cannot: the file, and values with commas."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    parser.add_argument("--kafka", action="append", default=[])
    parser.add_argument("--kafka-secrets")
    return parser.parse_known_args(list(arguments))


def _complete_plain(arguments: Sequence[str]) -> Iterator[str]:
    """Give a former plain flag a value, so that the error says what to write instead."""
    for argument, following in itertools.zip_longest(arguments, arguments[1:], fillvalue="--"):
        is_plain = argument in _ONCE_PLAIN and following.startswith("--")
        yield f"{argument}=true" if is_plain else argument


def _guess_keys(arguments: Sequence[str]) -> Iterator[str]:
    """Find names of Kafka options behind a misspelled flag, whose values must not be shown."""
    for argument in arguments:
        for key in argument.split("=")[:-1]:
            if "." in key and "/" not in key:
                yield key.lstrip("-")


def _read_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        with Path(path).open("rb") as file:
            values = tomllib.load(file)
        options = values.get("kafka")
        if isinstance(options, dict) and any(map(is_secret, options)):
            refuse_if_readable(Path(path), f"--config {path}")
        return values
    except FileNotFoundError as error:
        raise SettingsError(f"--config {path}: no such file") from error
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"--config {path}: {error}") from error


def _keep_own(kind: type[JobSettings], file: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the file's settings that this job has; it may have those of other jobs too.

    Raises:
        SettingsError: there is a key that no job has.
    """
    if not isinstance(file.get("kafka", {}), dict):
        raise SettingsError("kafka in the configuration file: expected a table, [kafka]")
    foreign = file.keys() - kind.model_fields.keys()
    if foreign:
        # Imported here: nearly every file is for one job, which does not need the others' settings.
        from lib.settings.registry import JOB_SETTINGS

        unknown = foreign.difference(*(other.model_fields for other in JOB_SETTINGS.values()))
        if unknown:
            key = min(unknown)
            close = difflib.get_close_matches(key, kind.model_fields, n=1)
            guess = f"did you mean {close[0]}?" if close else None
            raise SettingsError(f"unknown setting {key!r} in the configuration file", hint=guess)
    return {key: value for key, value in file.items() if key not in foreign}


def read_environment(kind: type[JobSettings], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read setting → text of its variable; Kafka's options become a dictionary.

    Raises:
        SettingsError: an option of Kafka is no KEY=VALUE.
    """
    found: dict[str, Any] = {}
    if "bootstrap_servers" in kind.model_fields and "KAFKA_BOOTSTRAP_SERVERS" in environment:
        found["bootstrap_servers"] = environment["KAFKA_BOOTSTRAP_SERVERS"]
    for name in kind.model_fields:
        text = environment.get(f"{ENVIRONMENT_PREFIX}{name.upper()}")
        if text is not None:
            found[name] = _read_pairs(text.split(",")) if name == "kafka" else text
    return found


def _read_pairs(pairs: Sequence[str]) -> dict[str, str]:
    """Read KEY=VALUE pairs; errors show no value, which may be a password."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise SettingsError("--kafka: expected KEY=VALUE, found no '=' or no key")
        found[key.strip()] = value
    return found


def _describe(error: ValidationError) -> str:
    parts = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        found = problem.get("input")
        is_hidden = name.startswith("kafka") or problem["type"] == "missing"
        shown = "" if is_hidden else f", found {found!r}"
        message = problem["msg"].removeprefix("Value error, ")
        # A rule for several settings has no name, and its input would be all of them.
        parts.append(f"{name_flag(name)}: {message}{shown}" if name else message)
    return "; ".join(parts)
