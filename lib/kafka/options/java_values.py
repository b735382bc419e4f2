"""Checks the values of Kafka's Java clients by the types and rules of their own list. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lib.errors import SettingsError
from lib.kafka.options import java_list
from lib.kafka.secrets import is_secret

# The bits of Java's types of whole numbers.
_BITS = {"SHORT": 16, "INT": 32, "LONG": 64}
_WHOLE = re.compile(r"[+-]?[0-9]+")
_FRACTION = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# Java's rules as they print themselves: "[0,...]", "[1,...,9] or -1", "[none, gzip]".
_RANGE = re.compile(r"\[(?P<low>-?[\d.]+),\.\.\.(,(?P<high>-?[\d.]+))?\]( or (?P<other>-?\d+))?")
_CHOICE = re.compile(r"(?P<any_case>\(case insensitive\) )?\[(?P<names>[^.]*)\]")


def check_java_values(options: Mapping[str, str]) -> None:
    """Refuse values that the Java clients would refuse.

    Args:
        options: the options in the form of the Java clients.

    Raises:
        SettingsError: a value is no number, out of its range or none of those that are allowed.
    """
    for name, value in options.items():
        kind, rule = java_list.OPTIONS.get(name, ("STRING", ""))
        expected = _find_fault(kind, rule, value)
        if expected is not None:
            found = "" if is_secret(name) else f", found {value!r}"
            raise SettingsError(f"--kafka {name}: expected {expected}{found}")


def _find_fault(kind: str, rule: str, value: str) -> str | None:
    """Return the values that are expected, as a phrase; None if the value is one of them."""
    bare = value.strip()  # Java leaves blanks out, but for texts
    if kind == "BOOLEAN":
        return None if bare.lower() in ("true", "false") else "true or false"
    if kind in _BITS:
        bound = 1 << (_BITS[kind] - 1)
        is_number = _WHOLE.fullmatch(bare) is not None and -bound <= int(bare) < bound
        return _check_range(rule, bare, "a whole number", is_number)
    if kind == "DOUBLE":
        return _check_range(rule, bare, "a number", _FRACTION.fullmatch(bare) is not None)
    choice = _CHOICE.fullmatch(rule)
    if choice is None:
        return "some text" if rule == "non-empty string" and not value else None
    names = choice["names"].split(", ")
    is_known = value.lower() in map(str.lower, names) if choice["any_case"] else value in names
    return None if is_known else f"one of {', '.join(sorted(names))}"


def _check_range(rule: str, value: str, noun: str, is_number: bool) -> str | None:
    bounds = _RANGE.fullmatch(rule)
    if bounds is None:
        return None if is_number else noun
    low, high, other = bounds["low"], bounds["high"], bounds["other"]
    if is_number:
        number = float(value)
        is_inside = float(low) <= number and (high is None or number <= float(high))
        if is_inside or (other is not None and number == float(other)):
            return None
    upper = f" to {high}" if high is not None else ""
    return f"{noun} from {low}{upper}{f' or {other}' if other is not None else ''}"
