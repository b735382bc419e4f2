"""Reads the settings of a job: TOML file < environment < command line.

Every field is a flag (``input_topic`` is ``--input-topic``), a variable (``SCORE_INPUT_TOPIC``) and
a key of the file that ``--config`` names. Jobs can share a file: each takes the keys that it has.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from lib.errors import SettingsError
from lib.exit_codes import describe_exit_codes
from lib.kafka.secrets import (
    is_secret,
    read_secret_file,
    refuse_if_readable,
    refuse_on_command_line,
)
from lib.settings.base import ENVIRONMENT_PREFIX, IN_PLACE, JobSettings, name_flag, name_variable
from lib.settings.domain import find_names
from lib.setup.log.form import is_json

Settings = TypeVar("Settings", bound=JobSettings)

# Flags that took no value in versions before 0.1.0.
_ONCE_PLAIN = ("accept_offsets",)
# The terminal behind the pipe of spark-submit; ./spark-submit.sh sets it for the job.
_OWN_VARIABLES = frozenset({f"{ENVIRONMENT_PREFIX}TERMINAL"})
# Kubernetes tells each container of the services beside it, one of which may be called "score".
_OF_KUBERNETES = re.compile(
    r"SCORE_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
)
_PRECEDENCE = (
    "A flag wins over the environment variable in parentheses, that one over the file of --config,"
    "\nand the file over the default. docs/settings.md has all settings."
)
# Braces hold alternatives of a pattern of files.
_COMMA_OUTSIDE_BRACES = re.compile(r",(?![^{}]*\})")


def load_settings(
    kind: type[Settings], arguments: Sequence[str], environment: Mapping[str, str] | None = None
) -> Settings:
    """Read a job's settings from all three places.

    Args:
        kind: the job's settings class; its docstring and fields make up ``--help``.
        arguments: the command line without the program's name.
        environment: variables; those of this process by default.

    Raises:
        SettingsError: unknown key or variable, unreadable file or invalid value, with the place it
            came from.
        SystemExit: for ``--help``, and for flags that do not exist unless the log is JSON.
    """
    variables = os.environ if environment is None else environment
    flags = _parse_flags(kind, arguments)
    _refuse_unknown_variables(kind, variables)
    found = read_environment(kind, variables)
    file = _keep_own(kind, _read_file(flags.get("config") or found.get("config")))
    chosen = file | found | flags
    if "kafka" in kind.model_fields:
        secrets = chosen.get("kafka_secrets")
        # All are merged, so that a password may come from another place than the other options.
        parts = (
            file.get("kafka", {}),
            {} if secrets is None else read_secret_file(Path(str(secrets))),
            found.get("kafka", {}),
            flags.get("kafka", {}),
        )
        chosen["kafka"] = {key: value for part in parts for key, value in part.items()}
    chosen = {name: _split(kind.model_fields[name], value) for name, value in chosen.items()}
    try:
        settings = kind.model_validate(chosen)
        # The names of the domain come last, because they depend on the other settings.
        names = find_names(settings)
        return kind.model_validate(settings.model_dump() | names) if names else settings
    except ValidationError as error:
        raise SettingsError(_describe(error)) from error


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are lines of the log."""

    def error(self, message: str) -> NoReturn:
        """End the process with the usage; where the log is JSON, raise the error instead."""
        if is_json():
            raise SettingsError(message)
        super().error(message)


def _parse_flags(kind: type[JobSettings], arguments: Sequence[str]) -> dict[str, Any]:
    """Parse setting → text of its flag, a list of texts if it can be repeated.

    Raises:
        SettingsError: an option of Kafka is no KEY=VALUE, or a secret.
        SystemExit: for ``--help``, and for flags that do not exist.
    """
    parser = _Parser(
        description=f"{kind.__doc__}\n\n{describe_exit_codes()}",
        epilog=_PRECEDENCE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for name, field in kind.model_fields.items():
        if IN_PLACE in field.metadata:
            several = {"nargs": "*", "action": "store"} if _is_list(field) else {"nargs": "?"}
            parser.add_argument(name, **{**_describe_flag(name, field), **several})
        else:
            parser.add_argument(name_flag(name), dest=name, **_describe_flag(name, field))
    # Values without a flag may stand before, between and behind flags.
    found, unknown = parser.parse_known_intermixed_args(arguments)
    refuse_on_command_line(_guess_keys(unknown))
    if unknown:
        close = _find_nearest(unknown[0].partition("=")[0], map(name_flag, kind.model_fields))
        hint = "" if close is None else f" (did you mean {close}?)"
        parser.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    flags = vars(found)
    if "kafka" in flags:
        flags["kafka"] = _read_pairs(flags["kafka"])
        refuse_on_command_line(flags["kafka"])
    return flags


def _describe_flag(name: str, field: FieldInfo) -> dict[str, Any]:
    """Return the arguments of ``add_argument`` for a setting."""
    facts = [name_variable(name)]
    if field.is_required():
        facts.insert(0, "required")
    elif (default := field.get_default(call_default_factory=True)) not in (None, "", (), [], {}):
        facts.insert(0, f"default: {default}")
    text = f"{field.description} ({'; '.join(facts)})"
    described: dict[str, Any] = {"help": text.replace("%", "%%")}
    if field.annotation is bool:
        return {**described, "action": argparse.BooleanOptionalAction}
    if get_origin(field.annotation) is Literal:
        described["metavar"] = f"{{{','.join(map(str, get_args(field.annotation)))}}}"
    elif name == "kafka":
        described["metavar"] = "KEY=VALUE"
    else:
        described["metavar"] = name.upper()
    if name in _ONCE_PLAIN:
        return {**described, "nargs": "?", "const": "true"}
    return {**described, "action": "append" if name == "kafka" or _is_list(field) else "store"}


def _is_list(field: FieldInfo) -> bool:
    return get_origin(field.annotation) in (list, tuple)


def _split(field: FieldInfo, value: Any) -> Any:
    """Split the texts of a list at their commas, except for those within braces."""
    if not _is_list(field) or not isinstance(value, str | list):
        return value
    if IN_PLACE in field.metadata and isinstance(value, list):
        return value  # the shell has split it already, and a file's name may hold commas
    texts = [value] if isinstance(value, str) else value
    return [
        part
        for text in texts
        for part in (_COMMA_OUTSIDE_BRACES.split(text) if isinstance(text, str) else [text])
    ]


def _guess_keys(arguments: Iterable[str]) -> Iterator[str]:
    """Find names of Kafka options behind a misspelled flag, whose values must not be shown."""
    for argument in arguments:
        for key in argument.split("=")[:-1]:
            if "." in key and "/" not in key:
                yield key.lstrip("-")


def _find_nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that may have been meant; None if none is near."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), None)


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
            close = _find_nearest(key, kind.model_fields)
            raise SettingsError(
                f"unknown setting {key!r} in the configuration file",
                hint=close and f"did you mean {close}?",
            )
    return {key: value for key, value in file.items() if key not in foreign}


def _refuse_unknown_variables(kind: type[JobSettings], environment: Mapping[str, str]) -> None:
    """Refuse variables that look like settings and are none of any job.

    Raises:
        SettingsError: there is one; the error names the variable that may have been meant.
    """
    given = {name for name in environment if name.upper().startswith(ENVIRONMENT_PREFIX)}
    given -= {name_variable(name) for name in kind.model_fields} | _OWN_VARIABLES
    if not given:
        return
    # Imported here: most processes have only variables of their own job.
    from lib.settings.registry import JOB_SETTINGS

    # The own settings come first among equally near ones.
    kinds = (kind, *JOB_SETTINGS.values())
    known = [setting for it in kinds for setting in it.model_fields]
    for name in sorted(given - set(map(name_variable, known))):
        setting = name[len(ENVIRONMENT_PREFIX) :].lower()
        # Names in small letters belong to other programs, unless they spell a setting.
        is_other = not name.startswith(ENVIRONMENT_PREFIX) and setting not in known
        if not is_other and _OF_KUBERNETES.fullmatch(name) is None:
            close = _find_nearest(setting, known)
            raise SettingsError(
                f"unknown variable {name} in the environment",
                hint=close and f"did you mean {name_variable(close)}?",
            )


def read_environment(kind: type[JobSettings], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read setting → text of its variable; Kafka's options become a dictionary.

    An empty variable counts as none, because files of containers often name all that they may set.

    Raises:
        SettingsError: an option of Kafka is no KEY=VALUE.
    """
    found: dict[str, Any] = {}
    if "bootstrap_servers" in kind.model_fields and environment.get("KAFKA_BOOTSTRAP_SERVERS"):
        found["bootstrap_servers"] = environment["KAFKA_BOOTSTRAP_SERVERS"]
    for name in kind.model_fields:
        if text := environment.get(name_variable(name)):
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
