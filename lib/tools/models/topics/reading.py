"""Reads what models have written to topics, the outcomes, and the records of segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import Message
from confluent_kafka.admin import AdminClient

from lib.kafka.admin import find_offsets, has_topic, refuse_missing_topics
from lib.kafka.cluster import Cluster
from lib.kafka.connection.connect import connect
from lib.kafka.reading import iter_until_end, naming_topic, open_reader
from lib.record.contract import Contract
from lib.tools.models.topics.answers import Answer, AnswerReader, Record, spell_moment
from lib.tools.models.topics.outcomes import Outcomes
from lib.tools.models.topics.pairing import Pairing
from lib.tools.models.topics.ranges import (
    MARGIN,
    TopicRange,
    find_newest,
    find_range,
    iter_backwards,
)
from lib.tools.models.topics.segments import RecordJoin

# So many times as many records of the input topic are read as answers, to find their records.
_INPUT_FACTOR = 10
# So long after a record was scored its answer may be written.
_LONGEST_BATCH = timedelta(minutes=10)


@dataclass(frozen=True)
class Window:
    """The answers that are read.

    Attributes:
        since: the first time of scoring; None for all.
        until: the first time of scoring after them; None for the present end.
        most: the largest number of messages of the topic that is read first.
    """

    since: datetime | None
    until: datetime | None
    most: int

    def holds(self, processed: str, cut: datetime | None) -> bool:
        """Tell whether answers of a time of scoring belong to what is read."""
        first = max((spell_moment(it) for it in (self.since, cut) if it is not None), default="")
        return processed >= first and (self.until is None or processed < spell_moment(self.until))


@dataclass
class Answers:
    """The answers that were read.

    Attributes:
        all: the answers, in the order of each partition.
        written_ms: the largest Kafka timestamp.
        cut: the time from which on they were read because there were too many before; None if all
            were.
    """

    all: list[Answer] = field(default_factory=list)
    written_ms: int = 0
    cut: datetime | None = None


class TopicReader:
    """Reads the committed messages of topics.

    Args:
        cluster: the cluster of the topics.
        contract: the contract of the records.
        topics: the names of all topics that will be read.

    Raises:
        KafkaSetupError: the brokers are not reached, or a topic is missing.
    """

    def __init__(self, cluster: Cluster, contract: Contract, topics: Sequence[str]) -> None:
        self._cluster = cluster
        self._contract = contract
        self._admin: AdminClient = connect(cluster)
        missing = [topic for topic in topics if not has_topic(self._admin, topic)]
        refuse_missing_topics(cluster, missing, may_be_hidden=cluster.signs_in)
        self.unreadable: Counter[str] = Counter()
        """Topic → messages that are no predictions of the contract."""

    def read_newest(self, topic: str, window: Window) -> Answers:
        """Read the newest answers of a topic.

        Raises:
            SourceError: the topic cannot be read.
        """
        with naming_topic(topic):
            found = find_newest(self._admin, topic, window.since, window.until, window.most)
            if window.until is not None:
                ends = find_offsets(self._admin, topic, window.until + _LONGEST_BATCH)
                found = replace(found, ends=ends)
            answers = Answers(cut=found.cut)
            for answer, written in self._iter_answers(found):
                if window.holds(answer.processed, found.cut):
                    answers.all.append(answer)
                    answers.written_ms = max(answers.written_ms, written)
        return answers

    def add_predictions(self, topic: str, pairing: Pairing, written_ms: int) -> None:
        """Read the predictions of the time of shadows' answers, and pair them.

        Args:
            topic: the topic of the predictions.
            pairing: the shadows' answers, at least one.
            written_ms: the largest Kafka timestamp of a shadow's answer.

        Raises:
            SourceError: the topic cannot be read.
        """
        since = datetime.fromisoformat(pairing.first) - MARGIN
        until = datetime.fromtimestamp(written_ms / 1000, UTC) + MARGIN
        with naming_topic(topic):
            for answer, _ in self._iter_answers(find_range(self._admin, topic, since, until)):
                pairing.add(answer)

    def add_outcomes(self, topic: str, outcomes: Outcomes) -> None:
        """Read all outcomes of a topic.

        Raises:
            SourceError: the topic cannot be read.
        """
        with naming_topic(topic), open_reader(self._cluster, [topic]) as reader:
            for message in iter_until_end(reader):
                outcomes.add_message(message.value())

    def find_records(
        self, topic: str, records: Sequence[Record], span: tuple[str, str], names: Sequence[str]
    ) -> RecordJoin:
        """Find the values of fields in the records that were scored, further and further back.

        Args:
            topic: the topic of the records.
            records: the parts that the answers share with their records.
            span: the first and the last time of scoring.
            names: the names of the fields.

        Raises:
            SourceError: the topic cannot be read.
        """
        join = RecordJoin(records, names, self._contract)
        first, last = map(datetime.fromisoformat, span)
        left = _INPUT_FACTOR * len(records)
        with naming_topic(topic):
            for part in iter_backwards(self._admin, topic, (first - MARGIN, last + MARGIN)):
                for message in part.iter_messages(self._cluster):
                    join.add(_get_key(message), message.value(), message.timestamp()[1])
                left -= part.size
                if join.is_complete or left <= 0:
                    break
        return join

    def _iter_answers(self, found: TopicRange) -> Iterator[tuple[Answer, int]]:
        """Yield answers with their Kafka timestamps."""
        reader = AnswerReader(self._contract)
        for message in found.iter_messages(self._cluster):
            try:
                answer = reader.read(_get_key(message), message.value())
            except ValueError:
                self.unreadable[found.topic] += 1
            else:
                yield answer, message.timestamp()[1]


def _get_key(message: Message) -> bytes | None:
    key: Any = message.key()  # its type in the stubs has no None
    return key.encode() if isinstance(key, str) else key
