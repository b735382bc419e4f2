"""What is sent along with a job, and how its command line reads over there. Pure.

YARN puts each file that is sent into the working folder of the driver and of every executor, under
the name that stands behind its ``#``; an archive becomes a folder of that name.
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
# Settings whose files are sent, wherever they are named → the file's name over there.
_SENT = {"config": "settings.toml", "kafka_secrets": "secrets.toml", "contract": "contract.toml"}
_PYTHON = f"./{ENVIRONMENT_NAME}/bin/python"

# Options whose value is a file of this machine.
_FILE_OPTIONS = (
    *("ssl.ca.location", "ssl.certificate.location", "ssl.key.location"),
    *("ssl.truststore.location", "ssl.keystore.location"),
)


@dataclass(frozen=True)
class Sending:
    """What spark-submit is told beyond what the caller said.

    Attributes:
        files: of spark-submit's ``--files``, as URIs with the name over there.
        archives: the same of ``--archives``.
        conf: settings of Spark.
        arguments: the job's, as they read over there.
    """

    files: tuple[str, ...] = ()
    archives: tuple[str, ...] = ()
    conf: Mapping[str, str] = field(default_factory=dict)
    arguments: tuple[str, ...] = ()

    def build_words(self, job: str) -> list[str]:
        """The words of the command line from here on: options, job, arguments."""
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
        flags: ``--store`` and ``--model`` for it.
    """

    archive: Path
    flags: tuple[str, ...]


def name_sent(path: Path, name: str) -> str:
    """A file as spark-submit takes it; as a URI, because a plain path is taken apart at ``#``."""
    return f"{path.resolve().as_uri()}#{name}"


def point_to_python() -> dict[str, str]:
    """Settings that make the driver and its workers use the Python that is sent.

    The workers take over the driver's; without this both would look for this machine's.
    """
    names = ("PYSPARK_PYTHON", "PYSPARK_DRIVER_PYTHON")
    return {f"spark.yarn.appMasterEnv.{name}": _PYTHON for name in names}


def plan_arguments(
    settings: JobSettings,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    model: SentModel | None,
) -> Sending:
    """Find the files that the job's settings name, and say how it gets them over there.

    Args:
        settings: loaded from the same arguments and environment.
        arguments: the job's own.
        environment: of this process; over there is another one.
        model: packed; None where it stays where it is.

    Raises:
        SettingsError: a secret stands in a variable, and would become visible on the way.
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
    """The arguments without an option and its values."""
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
    """The flags that say what this machine's variables say, less those that are given anyway."""
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
    """Options that name files of this machine, with the names that these get over there.

    What is not here has to be there, under the path that the option says.
    """
    names: dict[Path, str] = {}
    for key in _FILE_OPTIONS:
        path = Path(options[key]) if key in options else None
        if path is not None and path.is_file():
            # One name for each file: the certificate and its key may be the same.
            name = names.setdefault(path.resolve(), f"{len(names)}-{path.name}")
            yield key, (path, name)
