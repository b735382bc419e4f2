"""The place of a value in a JSON object: one name, or several for a value in nested objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

#: The names of the objects that hold a value, from the outermost on, and last its own name.
Place = tuple[str, ...]
Item = TypeVar("Item")


def look_up(record: Mapping[str, Any], place: Place) -> tuple[Any, bool]:
    """Return the value at a place, or None if there is none, and True.

    If something else than an object is in the way, return that and False.
    """
    outer: Any = record
    for name in place[:-1]:
        outer = outer.get(name)
        if outer is None:
            return None, True
        if not isinstance(outer, dict):
            return outer, False
    return outer.get(place[-1]), True


def put(record: dict[str, Any], place: Place, value: Any) -> None:
    """Set a value of a JSON object, and make the objects of a nested place."""
    for name in place[:-1]:
        record = record.setdefault(name, {})
    record[place[-1]] = value


def group_by_member(
    items: Iterable[tuple[Item, Place]],
) -> dict[str, list[tuple[Item, Place]]]:
    """Group items by the member of an object that they are or are inside of.

    Args:
        items: the items with their places in the object.

    Returns:
        Member → items with their places within the member; the place of the member itself is
        empty.
    """
    members: dict[str, list[tuple[Item, Place]]] = {}
    for item, (name, *inner) in items:
        members.setdefault(name, []).append((item, tuple(inner)))
    return members
