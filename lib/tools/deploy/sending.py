"""Decides which files are sent with a job, and rewrites its command line to name them. Pure.

YARN puts each file that is sent into the working folder of the driver and of every executor, under
the name behind its ``#``; an archive becomes a folder of that name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib.errors import SettingsError
from lib.kafka.secrets import is_secret
from lib.settings.base import ENVIRONMENT_PREFIX, JobSettings, name_flag
from lib.settings.load import read_environment

ENVIRONMENT_NAME = "environment"
MODELS_NAME = "models"
# Setting whose file is sent → the file's name on the other machines.
_SENT = {"config": "settings.toml", "kafka_secrets": "secrets.toml", "contract": "contract.toml"}
_PYTHON = f"./{ENVIRONMENT_NAME}/bin/python"

# Kafka options whose value is a file of this machine.
_FILE_OPTIONS = (
    *("ssl.ca.location", "ssl.certificate.location", "ssl.key.location"),
    *("ssl.truststore.location", "ssl.keystore.location", "ssl.crl.location", "https.ca.location"),
)


@dataclass(frozen=True)
class Sending:
    """The additions to spark-submit's command line.

    Attributes:
        files: the values of ``--files``, as URIs with the name on the other machines.
        archives: the values of ``--archives``, in the same form.
        conf: Spark's settings.
        arguments: the job's arguments for the other machine.
    """

    files: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    conf: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    def build_words(self, job: str) -> list[str]:
        """Return the remaining words of the command line: options, job, arguments."""
        words = []
        for option, parts in (("--files", self.files), ("--archives", self.archives)):
            if parts:
                words += [option, ",".join(parts)]
        for key, value in self.conf.items():
            words += ["--conf", f"{key}={value}"]
        return [*words, job, *self.arguments]


@dataclass(frozen=True)
class SentModel:
    """A model that is packed to be sent.

    Attributes:
        archive: a zip of a model store, or of one model's files.
        flags: the options ``--store`` and ``--model`` that name it.
    """

    archive: Path
    flags: tuple[str, ...]


def name_sent(path: Path, name: str) -> str:
    """Name a file for spark-submit, as a URI: a plain path would be split at each ``#``."""
    return f"{path.resolve().as_uri()}#{name}"


def point_to_python() -> dict[str, str]:
    """Return settings that make the driver and its workers use the Python that is sent.

    The workers take the driver's Python. Without this both would look for the path of this machine.
    """
    names = ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")
    return {f"spark.yarn.appMasterEnv.{name}": _PYTHON for name in names}


def plan_arguments(
    settings: JobSettings,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    model: SentModel | None,
) -> Sending:
    """Find the files that the job's settings name, and rewrite its arguments to name sent files.

    Args:
        settings: the settings, loaded from the same arguments and environment.
        arguments: the arguments of the job.
        environment: the environment of this process, which the driver does not get.
        model: the packed model; None if it is not sent.

    Raises:
        SettingsError: a variable holds a secret, which would become visible in a command line.
    """
    remaining = list(arguments)
    files, flags = [], list(_read_variables(type(settings), arguments, environment))
    for setting, name in _SENT.items():
        flag = name_flag(setting)
        remaining = _drop_option(remaining, flag)
        path: Path | None = getattr(settings, setting, None)
        if path is not None:
            files.append(name_sent(path, name))
            flags += [flag, name]
    archives = []
    if model is not None:
        for option in ("--store", "--model"):
            remaining = _drop_option(remaining, option)
        archives.append(name_sent(model.archive, MODELS_NAME))
        flags += model.flags
    certificates = dict(_find_certificates(getattr(settings, "kafka", {})))
    for key, (path, name) in certificates.items():
        files.append(name_sent(path, name))
        flags += ["--kafka", f"{key}={name}"]
    unique = tuple(dict.fromkeys(files))
    return Sending(unique, tuple(archives), {}, (*remaining, *flags))


def _drop_option(arguments: Sequence[str], option: str) -> list[str]:
    """Return the arguments without an option and its values."""
    rest = []
    words = iter(arguments)
    for word in words:
        if word == option:
            next(words, None)
        elif not word.startswith(f"{option}="):
            rest.append(word)
    return rest


def _read_variables(
    kind: type[JobSettings], arguments: Sequence[str], environment: Mapping[str, str]
) -> Iterator[str]:
    """Iterate over flags for this machine's variables, unless the arguments set them."""
    for name, found in read_environment(kind, environment).items():
        flag = name_flag(name)
        if name == "kafka":
            yield from _write_options(found)
        elif name not in _SENT and not _has(arguments, flag):
            yield from _write_flag(flag, kind.model_fields[name].annotation, found)


def _write_options(options: Mapping[str, str]) -> Iterator[str]:
    for key, value in options.items():
        if is_secret(key):
            raise SettingsError(
                f"{ENVIRONMENT_PREFIX}KAFKA holds {key}, which the driver would get by a"
                " command line, where everybody can read it",
                hint="put it into a file and name that with --kafka-secrets",
            )
        yield from ("--kafka", f"{key}={value}")


def _write_flag(flag: str, annotation: Any, text: str) -> Iterator[str]:
    if annotation is bool:
        is_true = text.strip().lower() in ("1", "true", "t", "yes", "y", "on")
        yield flag if is_true else flag.replace("--", "--no-", 1)
    else:
        yield from (flag, text)


def _has(arguments: Sequence[str], flag: str) -> bool:
    names = (flag, flag.replace("--", "--no-", 1))
    return any(word.partition("=")[0] in names for word in arguments)


def _find_certificates(options: Mapping[str, str]) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Iterate over options that name files of this machine, with the names of the sent files.

    A file that does not exist here has to exist there, under the path of the option.
    """
    names: dict[Path, str] = {}
    for key in _FILE_OPTIONS:
        path = Path(options[key]) if key in options else None
        if path is not None and path.is_file():
            # A file gets one name: a certificate and its key may be in the same file.
            name = names.setdefault(path.resolve(), f"{len(names)}-{path.name}")
            yield key, (path, name)
