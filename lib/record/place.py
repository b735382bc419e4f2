"""Where a value stands in a JSON object: under one name, or inside other objects, under several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

#: Names of the objects that hold a value, from the outermost on, and last the value's own.
Place = tuple[str, ...]
Item = TypeVar("Item")


def look_up(record: Mapping[str, Any], place: Place) -> tuple[Any, bool]:
    """What stands at a place, None for nothing, and True.

    What stands on the way there instead of an object, and False, where the place is not reached.
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
    """Set a value of a JSON object, in objects below it where its place is nested."""
    for name in place[:-1]:
        record = record.setdefault(name, {})
    record[place[-1]] = value


def group_by_member(
    items: Iterable[tuple[Item, Place]],
) -> dict[str, list[tuple[Item, Place]]]:
    """Member of an object → the items that stand there or inside of it.

    Args:
        items: each with its place in the object.

    Returns:
        Each with its place within the member, which is empty for the item that is the member.
    """
    members: dict[str, list[tuple[Item, Place]]] = {}
    for item, (name, *inner) in items:
        members.setdefault(name, []).append((item, tuple(inner)))
    return members
