"""Lists the settings of a job for people who look at it, without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from lib.kafka.secrets import is_secret
from lib.settings.base import JobSettings, name_flag

HIDDEN = "hidden"
# User and password in an address, as in s3a://KEY:SECRET@bucket.
_SIGN_IN = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class SettingRow:
    """One setting.

    Attributes:
        flag: the flag.
        value: its value as text, or :data:`HIDDEN`.
        is_default: whether it has its default.
        meaning: its description.
    """

    flag: str
    value: str
    is_default: bool
    meaning: str


def list_settings(settings: JobSettings) -> list[SettingRow]:
    """List all settings, in the order of the documents."""
    return [row for name in type(settings).model_fields for row in _list_rows(settings, name)]


def _list_rows(settings: JobSettings, name: str) -> Iterator[SettingRow]:
    field = type(settings).model_fields[name]
    value, meaning = getattr(settings, name), field.description or ""
    if isinstance(value, dict):
        # Kafka's options, each of which is a setting of its own.
        for key, text in sorted(value.items()):
            shown = HIDDEN if is_secret(key) else _spell(text)
            yield SettingRow(f"{name_flag(name)} {key}", shown, False, "option of Kafka's clients")
        return
    default = field.get_default(call_default_factory=True)
    yield SettingRow(name_flag(name), _spell(value), value == default, meaning)


def _spell(value: Any) -> str:
    """Spell a value as in a file of settings; an address without its user and password."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(_spell, value))
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return _SIGN_IN.sub(f"[{HIDDEN}]@", text)
