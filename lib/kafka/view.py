"""Asks brokers for all that decides whether a job can run: topics, rights and settings."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    ConfigEntry,
    ConfigResource,
    ResourceType,
    TopicDescription,
)

from lib.errors import KafkaSetupError
from lib.kafka.admin import ANSWER_TIMEOUT_S, list_brokers
from lib.kafka.broker_settings import BrokerSettings, read_broker_settings
from lib.kafka.retry import ask_until_answered
from lib.kafka.rights import Right
from lib.kafka.topic_limits import TopicFacts

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class KafkaView:
    """The cluster, topics and rights of a job, as brokers tell them. Asking changes nothing.

    Attributes:
        rights: all rights that the job needs.
        topics: topic → its description, for those that exist and are not hidden.
        missing: the topics that do not exist.
        lacking: the rights that the user is known to lack, the optional ones excepted.
        brokers: the ids of the brokers.
        topic_settings: topic → its settings; empty if the user has no right to see them.
        broker_settings: broker → its settings, for those that tell them.
    """

    rights: Sequence[Right]
    topics: Mapping[str, TopicDescription]
    missing: Sequence[str]
    lacking: Sequence[Right]
    brokers: Sequence[int]
    topic_settings: Mapping[str, Mapping[str, str]]
    broker_settings: BrokerSettings

    @property
    def partitions(self) -> dict[str, int]:
        """Topic → number of its partitions."""
        return {name: len(it.partitions) for name, it in self.topics.items()}

    @property
    def unchecked(self) -> list[Right]:
        """The optional rights for want of which something is not checked."""
        hidden = [name for name, values in self.topic_settings.items() if not values]
        found = [right for right in self.rights if right.name in hidden and right.is_optional]
        if not self.broker_settings:
            found += [right for right in self.rights if right.kind == "cluster"]
        return found

    def find_facts(self, topic: str) -> TopicFacts:
        """Return the facts about a topic that exists."""
        replicas = min(len(partition.replicas) for partition in self.topics[topic].partitions)
        return TopicFacts(topic, replicas, self.topic_settings[topic])


def look_at_kafka(admin: AdminClient, rights: Sequence[Right]) -> KafkaView:
    """Ask brokers for all that decides whether a job can run.

    Args:
        admin: a client of the job's user.
        rights: the rights that the job needs; they name its topics and its group.

    Raises:
        KafkaSetupError: the brokers do not tell.
    """
    names = dict.fromkeys(right.name for right in rights if right.kind == "topic")
    topics, allowed, missing = _describe_topics(admin, names)
    lacking = []
    for right in rights:
        if right.kind == "transactional id" or right.is_optional:
            continue
        if right.kind == "topic":
            if right.name in missing:
                continue
            operations = allowed[right.name]
        else:
            operations = _describe_group(admin, right.name)
        if operations is not None and right.operation not in operations:
            lacking.append(right)
    brokers = list_brokers(admin)
    return KafkaView(
        rights,
        topics,
        missing,
        lacking,
        brokers,
        _read_settings(admin, topics),
        read_broker_settings(admin, brokers),
    )


def _describe_topics(
    admin: AdminClient, names: Iterable[str]
) -> tuple[dict[str, TopicDescription], dict[str, frozenset[str] | None], list[str]]:
    """Read (topic → description, topic → operations or None if unknown, missing topics)."""
    topics: dict[str, TopicDescription] = {}
    allowed: dict[str, frozenset[str] | None] = {}
    missing = []
    answers = admin.describe_topics(
        TopicCollection(list(names)),
        include_authorized_operations=True,
        request_timeout=ANSWER_TIMEOUT_S,
    )
    for name, answer in answers.items():
        try:
            topics[name] = answer.result()
            allowed[name] = _spell(topics[name].authorized_operations)
        except KafkaException as error:
            # A user from whom a topic is hidden cannot find out whether it exists.
            if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                allowed[name] = frozenset()
            elif error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                missing.append(name)
            else:
                raise KafkaSetupError(f"topic {name}: {error.args[0].str()}") from error
    return topics, allowed, missing


def _describe_group(admin: AdminClient, name: str) -> frozenset[str] | None:
    """Read the operations that the user has on a group; None if the brokers do not tell."""

    def ask() -> frozenset[str] | None:
        (answer,) = admin.describe_consumer_groups(
            [name], include_authorized_operations=True, request_timeout=ANSWER_TIMEOUT_S
        ).values()
        return _spell(answer.result().authorized_operations)

    try:
        # The first question about a group makes a new cluster create the topic of groups.
        return ask_until_answered(
            ask,
            lambda error: error.code() == KafkaError.COORDINATOR_NOT_AVAILABLE,
            ANSWER_TIMEOUT_S,
        )
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return frozenset()
        # This looks at rights only. The sink meets whatever else is wrong, and reports it.
        logger.info("group %s not described error=%s", name, error.args[0].name())
        return None


def _spell(operations: Iterable[Enum] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(it.name for it in operations)


def _read_settings(admin: AdminClient, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Read topic → its settings; empty if the user has no right or the brokers do not tell."""
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    if not resources:
        return {}
    answers: dict[ConfigResource, Future[dict[str, ConfigEntry]]] = admin.describe_configs(
        resources, request_timeout=ANSWER_TIMEOUT_S
    )
    found: dict[str, dict[str, str]] = {}
    for resource, answer in answers.items():
        try:
            entries = answer.result()
        except KafkaException:
            found[resource.name] = {}
        else:
            found[resource.name] = {
                key: entry.value for key, entry in entries.items() if entry.value is not None
            }
    return found
