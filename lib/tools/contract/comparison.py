"""Compares two contracts, and tells whether records and models of the old one still fit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from lib.record.contract import Contract, Field, Kind


@dataclass(frozen=True)
class Change:
    """One difference between two contracts.

    Attributes:
        what: the difference as one phrase.
        records_fit: whether the new contract takes every record that the old one takes.
        models_fit: whether a model of the old contract can be used with the new one.
    """

    what: str
    records_fit: bool
    models_fit: bool


def compare_contracts(old: Contract, new: Contract) -> list[Change]:
    """List all differences in the order of the files; empty for equal contracts."""
    return [
        *_compare_limits(old, new),
        *_compare_fields("identifier", old.identifier, new.identifier),
        *_compare_event_times(old.event_time, new.event_time),
        *_compare_labels(old, new),
        *_compare_output(old, new),
        *_compare_features(old, new),
    ]


def _compare_limits(old: Contract, new: Contract) -> Iterator[Change]:
    if old.name != new.name:
        yield Change(f"name: {old.name} → {new.name}", records_fit=True, models_fit=True)
    if old.max_bytes != new.max_bytes:
        yield Change(
            f"max_bytes: {old.max_bytes:,} → {new.max_bytes:,}",
            records_fit=new.max_bytes >= old.max_bytes,
            models_fit=True,
        )


def _compare_event_times(old: Field | None, new: Field | None) -> Iterator[Change]:
    if old is not None and new is not None:
        yield from _compare_fields("event_time", old, new)
    elif old is not None:
        yield Change(f"event_time {old.name}: gone", records_fit=True, models_fit=True)
    elif new is not None:
        # Records may have had a field of that name with any value.
        yield Change(f"event_time {new.name}: added", records_fit=False, models_fit=True)


def _compare_labels(old: Contract, new: Contract) -> Iterator[Change]:
    before = (old.label.name, old.negative_label, old.positive_label)
    after = (new.label.name, new.negative_label, new.positive_label)
    if before != after:
        texts = [f"{name} ({no} or {yes})" for name, no, yes in (before, after)]
        yield Change(f"label: {' → '.join(texts)}", records_fit=True, models_fit=False)


def _compare_output(old: Contract, new: Contract) -> Iterator[Change]:
    for part, before in asdict(old.output).items():
        after = getattr(new.output, part)
        if before != after:
            what = f"output.{part}: {before} → {after}; readers of predictions have to follow"
            yield Change(what, records_fit=True, models_fit=True)


def _compare_features(old: Contract, new: Contract) -> Iterator[Change]:
    before = {field.name: field for field in old.features}
    after = {field.name: field for field in new.features}
    for name, field in before.items():
        if name in after:
            yield from _compare_fields(f"feature {name}", field, after[name])
        else:
            yield Change(f"feature {name}: gone", records_fit=True, models_fit=False)
    for name in after:
        if name not in before:
            # Records may have had a field of that name with any value.
            yield Change(f"feature {name}: added", records_fit=False, models_fit=False)
    if before.keys() == after.keys() and list(before) != list(after):
        yield Change("the order of the features", records_fit=True, models_fit=False)


def _compare_fields(what: str, old: Field, new: Field) -> Iterator[Change]:
    if old.name != new.name:
        yield Change(
            f"{what}: {old.name} → {new.name}", records_fit=old.place == new.place, models_fit=True
        )
    if old.place != new.place:
        places = [".".join(field.place) for field in (old, new)]
        yield Change(f"{what}: at {' → '.join(places)}", records_fit=False, models_fit=True)
    if old.kind is not new.kind:
        is_wider = (old.kind, new.kind) == (Kind.INTEGER, Kind.NUMBER)
        yield Change(f"{what}: {old.kind} → {new.kind}", records_fit=is_wider, models_fit=False)
    if old.nullable != new.nullable:
        text = "may be missing" if new.nullable else "may not be missing any more"
        yield Change(f"{what}: {text}", records_fit=new.nullable, models_fit=False)
    if old.numeric_text != new.numeric_text:
        text = "may come as text" if new.numeric_text else "may not come as text any more"
        yield Change(f"{what}: {text}", records_fit=new.numeric_text, models_fit=False)
    if old.blank != new.blank:
        yield Change(
            f"{what}: a blank means {_show(new.blank)} instead of {_show(old.blank)}",
            records_fit=new.blank is not None,
            models_fit=False,
        )
    if old.kind is new.kind:
        yield from _compare_rules(what, old, new)


def _compare_rules(what: str, old: Field, new: Field) -> Iterator[Change]:
    if old.allowed != new.allowed:
        gone, added = (
            [value for value in one.allowed if value not in other.allowed]
            for one, other in ((old, new), (new, old))
        )
        parts = [f"without {', '.join(gone)}"] if gone else []
        parts += [f"with {', '.join(added)}"] if added else []
        text = " and ".join(parts) or "in another order"
        yield Change(f"{what}: values {text}", records_fit=not gone, models_fit=False)
    if old.range != new.range and old.is_numeric:
        fits = new.range[0] <= old.range[0] and old.range[1] <= new.range[1]
        yield Change(f"{what}: {old.expected} → {new.expected}", records_fit=fits, models_fit=False)
    is_feature = what.startswith("feature")
    if old.pattern != new.pattern:
        yield Change(
            f"{what}: pattern {old.pattern} → {new.pattern}",
            records_fit=new.pattern is None,
            models_fit=not is_feature,
        )
    if old.max_chars != new.max_chars:
        longest = float("inf") if new.max_chars is None else new.max_chars
        yield Change(
            f"{what}: at most {_show(old.max_chars)} → {_show(new.max_chars)} characters",
            records_fit=longest >= (old.max_chars or float("inf")),
            models_fit=not is_feature,
        )


def _show(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"
