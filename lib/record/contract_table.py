"""Reads the keys of a TOML table by type; errors name file, key, found and expected value."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from typing import Any, Never

from lib.errors import ContractError

_REQUIRED = object()


class ContractTable:
    """One table of a contract's file.

    Args:
        values: the values from the TOML parser.
        place: the name of the file, for messages.
        key: the table's key in the file, such as ``features[2]``; empty for the top of the file.
        known: the keys that the table may have.

    Raises:
        ContractError: there is an unknown key.
    """

    def __init__(
        self, values: Mapping[str, Any], place: str, key: str, known: Iterable[str]
    ) -> None:
        self._values = values
        self._place = place
        self._key = key
        known = list(known)
        for name in values:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                guess = f"did you mean {close[0]}?" if close else f"keys are {', '.join(known)}"
                raise ContractError(f"{place}: unknown key {self.locate(name)}", hint=guess)

    def locate(self, name: str) -> str:
        """Return the key of a value within the whole file."""
        return f"{self._key}.{name}" if self._key else name

    def has(self, name: str) -> bool:
        """Tell whether the table has the key."""
        return name in self._values

    def refuse(self, name: str, found: object, expected: str) -> Never:
        """Raise the error for a value.

        Raises:
            ContractError: always.
        """
        place = f"{self._place}: {self.locate(name)}"
        raise ContractError(f"{place}: found {found}, expected {expected}")

    def text(self, name: str, default: Any = _REQUIRED) -> Any:
        """Read a string that is not empty; ``default`` if the key is missing."""
        return self._take(name, default, "a string", lambda it: isinstance(it, str) and it != "")

    def flag(self, name: str) -> bool:
        """Read a boolean; False if the key is missing."""
        return bool(self._take(name, False, "true or false", lambda it: isinstance(it, bool)))

    def number(self, name: str) -> float | None:
        """Read a finite number; None if the key is missing."""
        found: float | None = self._take(name, None, "a finite number", is_number)
        return found

    def count(self, name: str, default: int | None) -> int | None:
        """Read an integer from 1 on."""
        found: int | None = self._take(
            name, default, "an integer from 1 on", lambda it: type(it) is int and it >= 1
        )
        return found

    def texts(self, name: str) -> tuple[str, ...]:
        """Read an array of different strings; empty if the key is missing."""
        found = self._take(
            name,
            (),
            "an array of strings",
            lambda it: isinstance(it, list) and all(isinstance(each, str) for each in it),
        )
        double = next((it for it in found if list(found).count(it) > 1), None)
        if double is not None:
            self.refuse(name, f"{json.dumps(double)} twice", "each value once")
        return tuple(found)

    def table(self, name: str, known: Iterable[str], *, needed: bool = False) -> ContractTable:
        """Return a table below this one; an empty one if it is missing and not needed."""
        values = self._take(
            name,
            _REQUIRED if needed else {},
            f"a table, [{self.locate(name)}]",
            lambda it: isinstance(it, dict),
        )
        return ContractTable(values, self._place, self.locate(name), known)

    def tables(self, name: str, known: Iterable[str]) -> list[ContractTable]:
        """Return the tables of an array that has at least one."""
        known = list(known)
        values = self._take(
            name,
            _REQUIRED,
            f"at least one table, [[{self.locate(name)}]]",
            lambda it: isinstance(it, list) and bool(it) and all(isinstance(e, dict) for e in it),
        )
        return [
            ContractTable(each, self._place, _name_member(self.locate(name), position, each), known)
            for position, each in enumerate(values, 1)
        ]

    def raw(self, name: str) -> Any:
        """Return the value from the TOML parser; None if the key is missing."""
        return self._values.get(name)

    def _take(self, name: str, default: Any, expected: str, is_valid: Any) -> Any:
        if name not in self._values:
            if default is _REQUIRED:
                self.refuse(name, "nothing", expected)
            return default
        value = self._values[name]
        if not is_valid(value):
            self.refuse(name, _show(value), expected)
        return value


def is_number(value: object) -> bool:
    """Tell whether a value of TOML is a finite number."""
    is_real = isinstance(value, int | float) and not isinstance(value, bool)
    return is_real and abs(float(value)) < float("inf")  # type: ignore[arg-type]


def _name_member(key: str, position: int, values: Mapping[str, Any]) -> str:
    """Name a member of an array by its position from 1 and, if it has one, its name."""
    name = values.get("name")
    return f"{key}[{position}]" + (f" ({name})" if isinstance(name, str) else "")


def _show(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"
