"""Remembers what evaluations have read, and decides what the next one reads. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from lib.errors import EvaluationError

_WAYS_OUT = (
    "--accept-gone keeps the table as it is and reads what there is; a new --output begins anew"
)


@dataclass(frozen=True)
class TopicView:
    """A topic, as brokers tell it.

    Attributes:
        topic: the name.
        identity: Kafka's id, which a recreated topic does not have.
        earliest: partition → the oldest offset.
        stable: partition → the last stable offset, up to which a committed reader reads.
    """

    topic: str
    identity: str
    earliest: Mapping[int, int]
    stable: Mapping[int, int]


@dataclass(frozen=True)
class TopicPosition:
    """The position in a topic, up to which it has been read.

    Attributes:
        topic: the name.
        identity: Kafka's id of the topic.
        offsets: partition → the first offset that has not been read.
    """

    topic: str
    identity: str
    offsets: Mapping[int, int]

    def to_json(self) -> dict[str, Any]:
        """Return the position as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` has written."""
        offsets = {int(partition): int(at) for partition, at in value["offsets"].items()}
        return cls(value["topic"], value["identity"], offsets)


@dataclass(frozen=True)
class FilePosition:
    """The files that have been read.

    Attributes:
        files: URL → (size in bytes, time of the last change in milliseconds since 1970).
    """

    files: Mapping[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        """Return the position as JSON types."""
        return {"files": {name: list(facts) for name, facts in self.files.items()}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_json` has written."""
        return cls({name: (int(it[0]), int(it[1])) for name, it in value["files"].items()})


Position = TopicPosition | FilePosition


@dataclass(frozen=True)
class TopicRange:
    """The offsets of a topic that are read.

    Attributes:
        topic: the name.
        start: partition → the first offset.
        end: partition → the offset behind the last; the partitions are the same.
        gone: the number of offsets that were not read before they were deleted.
    """

    topic: str
    start: Mapping[int, int]
    end: Mapping[int, int]
    gone: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing new."""
        return all(self.start[it] == self.end[it] for it in self.start)


@dataclass(frozen=True)
class FileRange:
    """The files that are read.

    Attributes:
        files: the URLs of the new files, in order.
        gone: the number of files that were read before and are not there any more.
    """

    files: tuple[str, ...] = field(default_factory=tuple)
    gone: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing new."""
        return not self.files


def plan_topic(
    view: TopicView, read: Position | None, *, accept_gone: bool
) -> tuple[TopicRange, TopicPosition]:
    """Decide what is read of a topic, and where it has been read to after that.

    Args:
        view: the topic as it is now.
        read: the position up to which it has been read; None for the first time.
        accept_gone: whether to go on where offsets are gone, or with a recreated topic.

    Raises:
        EvaluationError: offsets are gone, the topic was recreated, or another source was read.
    """
    if read is not None and not (isinstance(read, TopicPosition) and read.topic == view.topic):
        raise _build_source_error(f"topic {view.topic}", read)
    known = {} if read is None else dict(read.offsets)
    if read is not None:
        problem = _find_recreation(view, read)
        if problem is not None:
            if not accept_gone:
                raise EvaluationError(problem, hint=_WAYS_OUT)
            known = {}
    gone = 0
    start = {}
    for partition, end in sorted(view.stable.items()):
        earliest = view.earliest.get(partition, 0)
        at = known.get(partition, earliest)
        if at < earliest:
            if not accept_gone:
                raise EvaluationError(
                    f"{view.topic}[{partition}]@{at} was to be read next, and the oldest record is"
                    f" @{earliest}: {earliest - at:,} offsets were deleted before they were read",
                    hint=_WAYS_OUT,
                )
            gone += earliest - at
        # The last stable offset of a partition is never below what was committed and read.
        start[partition] = min(max(at, earliest), end)
    position = TopicPosition(view.topic, view.identity, dict(view.stable))
    return TopicRange(view.topic, start, dict(view.stable), gone), position


def _find_recreation(view: TopicView, read: TopicPosition) -> str | None:
    if view.identity != read.identity:
        return (
            f"topic {view.topic} was recreated: found the id {view.identity}, expected"
            f" {read.identity}"
        )
    for partition, at in sorted(read.offsets.items()):
        end = view.stable.get(partition)
        if end is None or end < at:
            found = "no such partition" if end is None else f"an end @{end}"
            return f"{view.topic}[{partition}] has lost records: found {found}, read up to @{at}"
    return None


def plan_files(
    name: str,
    found: Mapping[str, tuple[int, int]],
    read: Position | None,
    *,
    accept_gone: bool,
    may_go: bool,
) -> tuple[FileRange, FilePosition]:
    """Decide which files are read, and which have been read after that.

    Args:
        name: the flag of the files, for messages.
        found: URL → (size, time of the last change) of the files that there are.
        read: the files that have been read; None for the first time.
        accept_gone: whether files may have been changed or removed; a changed one is not read
            again.
        may_go: whether files may be removed once they are read: reading the same contents under
            another name has no effect.

    Raises:
        EvaluationError: a file was changed or removed, or another source was read.
    """
    if read is not None and not isinstance(read, FilePosition):
        raise _build_source_error(name, read)
    known = {} if read is None else dict(read.files)
    changed = sorted(it for it in found.keys() & known.keys() if found[it] != known[it])
    if changed and not accept_gone:
        raise EvaluationError(
            f"{name}: {changed[0]} was read before, and has changed since", hint=_WAYS_OUT
        )
    gone = sorted(known.keys() - found.keys())
    if gone and not (accept_gone or may_go):
        raise EvaluationError(
            f"{name}: {gone[0]} was read before, and is gone: what replaces it would count twice",
            hint=_WAYS_OUT,
        )
    fresh = tuple(sorted(found.keys() - known.keys()))
    return FileRange(fresh, len(gone)), FilePosition(dict(found))


def read_position(value: Mapping[str, Any] | None) -> Position | None:
    """Read a position of either kind."""
    if value is None:
        return None
    return TopicPosition.from_json(value) if "topic" in value else FilePosition.from_json(value)


def _build_source_error(what: str, read: Position) -> EvaluationError:
    before = f"topic {read.topic}" if isinstance(read, TopicPosition) else "Parquet files"
    return EvaluationError(
        f"found {what}, expected {before}, which --output has read so far",
        hint="name the same source, or another --output",
    )
