"""Tells which options each of the two client families knows, and refuses the others. Pure.

The names are those of the clients' own lists: :mod:`lib.kafka.options.librdkafka_list` and
:mod:`lib.kafka.options.java_list`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from lib.errors import SettingsError
from lib.kafka.options import java_list, librdkafka_list

# Java takes these although they are in none of its lists: they say where other values come from.
_JAVA_PREFIX = "config.providers"


def is_of_java(name: str) -> bool:
    """Tell whether Kafka's Java clients know an option."""
    return name in java_list.OPTIONS or name.startswith(_JAVA_PREFIX)


def is_of_librdkafka(name: str) -> bool:
    """Tell whether librdkafka knows an option."""
    return name in librdkafka_list.OPTIONS


def keep_java(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options that Kafka's Java clients know."""
    return {name: value for name, value in options.items() if is_of_java(name)}


def keep_librdkafka(options: Mapping[str, str]) -> dict[str, str]:
    """Return the options that librdkafka knows."""
    return {name: value for name, value in options.items() if is_of_librdkafka(name)}


def refuse_unknown(names: Iterable[str]) -> None:
    """Refuse names that neither family knows.

    Raises:
        SettingsError: there is one; the error says which name may have been meant.
    """
    unknown = sorted(it for it in names if not is_of_java(it) and not is_of_librdkafka(it))
    if unknown:
        known = sorted({*librdkafka_list.OPTIONS, *java_list.OPTIONS})
        close = difflib.get_close_matches(unknown[0].lower(), known, n=1, cutoff=0.8)
        raise SettingsError(
            f"--kafka {unknown[0]}: neither librdkafka {librdkafka_list.VERSION} nor Kafka's Java"
            f" client {java_list.VERSION} has such an option",
            hint=f"did you mean {close[0]}?" if close else "correct its name, or leave it out",
        )
