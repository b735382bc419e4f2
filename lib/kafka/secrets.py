"""Reads passwords and keys of Kafka clients, and keeps them out of messages.

They come from the environment or from a file that others cannot read. They are refused on a command
line: every user of the machine can read it (``ps``, ``/proc``), and Spark shows it in its UI.
"""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lib.errors import SettingsError

# The names in Java and librdkafka: *.password, JAAS lines, private keys in PEM, secrets and tokens
# of OAuth. conf/spark-defaults.conf hides the same names in Spark's UI.
_SECRET = re.compile(
    r"password|passwd|secret|token(?!\.endpoint)|jaas|credential"
    r"|ssl\.key\.pem|ssl\.keystore\.key|oauthbearer\.(config|assertion\.private)",
    re.IGNORECASE,
)
_HIDDEN = "[hidden]"


def is_secret(key: str) -> bool:
    """Tell whether the value of a Kafka client's option must not be shown."""
    return _SECRET.search(key) is not None


def hide_secrets(text: str, options: Mapping[str, str]) -> str:
    """Return a library's message without the secret values that it may repeat."""
    for key, value in options.items():
        if value and is_secret(key):
            text = text.replace(value, _HIDDEN)
    return text


def refuse_on_command_line(keys: Iterable[str]) -> None:
    """Refuse secrets among the options of a command line.

    Raises:
        SettingsError: there are secrets; the error names the options, and what to do instead.
    """
    found = sorted(filter(is_secret, keys))
    if found:
        raise SettingsError(
            f"--kafka {', '.join(found)}: expected no secret on a command line, where everybody on"
            " this machine can read it",
            hint="put it into a file for --kafka-secrets or into the variable SCORE_KAFKA, and"
            " change it if it was a real one",
        )


def read_secret_file(path: Path) -> dict[str, str]:
    """Read Kafka options from a TOML file that nobody else can read.

    Args:
        path: a file with lines like ``"sasl.password" = "…"``.

    Raises:
        SettingsError: there is no such file, others can read it, or it is no such TOML. The error
            shows nothing of its contents.
    """
    place = f"--kafka-secrets {path}"
    try:
        refuse_if_readable(path, place)
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(f"{place}: no such file") from error
    except OSError as error:
        raise SettingsError(f"{place}: {error.strerror}") from error
    except ValueError as error:  # an error of the encoding would quote the text
        is_toml = isinstance(error, tomllib.TOMLDecodeError)
        raise SettingsError(f"{place}: {error if is_toml else 'not UTF-8 text'}") from None
    return _read_options(values, place)


def refuse_if_readable(path: Path, place: str) -> None:
    """Refuse a file with secrets that users other than its owner and group can read or change.

    The group may, because Kubernetes gives secrets to a process in such files.

    Raises:
        SettingsError: others can read the file; the error says how to change that.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise SettingsError(
            f"{place}: holds secrets, but its mode is {mode:04o}: everybody can read or change it",
            hint=f"run chmod 600 {path}",
        )


def _read_options(values: Mapping[str, Any], place: str) -> dict[str, str]:
    for key, value in values.items():
        if not isinstance(value, str):
            raise SettingsError(
                f'{place}: {key}: expected text, as in "sasl.password" = "…"',
                hint="write names with dots in quotes, and no tables",
            )
    return dict(values)
