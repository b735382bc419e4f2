"""Creates the topics of the streaming job where they are missing."""

from __future__ import annotations

from collections.abc import Iterator

from lib.errors import KafkaSetupError
from lib.kafka.admin import has_topic
from lib.kafka.connection.connect import connect
from lib.kafka.topics import await_topics, create_topics
from lib.settings.jobs.topics import TopicsSettings
from lib.tools.demo.topics import DEAD_LETTER_SETTINGS


def create_missing(settings: TopicsSettings) -> Iterator[str]:
    """Create the topics that are missing, and tell of each in a line.

    Raises:
        KafkaSetupError: no broker answers, or it refuses a topic.
    """
    cluster = settings.cluster
    admin = connect(cluster)
    wanted: list[tuple[str, int, dict[str, str]]] = [
        (settings.input_topic, settings.topic_partitions, {}),
        (settings.output_topic, settings.topic_partitions, {}),
        (settings.dead_letter_topic, 1, DEAD_LETTER_SETTINGS),
    ]
    if settings.shadow_topic:
        wanted.append((settings.shadow_topic, settings.topic_partitions, {}))
    for topic, partitions, config in wanted:
        if has_topic(admin, topic):
            yield f"topic {topic} exists, and is left as it is"
        else:
            create_topics(cluster, {topic: partitions}, config)
            if not await_topics(admin, [topic]):
                raise KafkaSetupError(
                    f"{cluster.bootstrap_servers} does not show topic {topic}, which it has created"
                )
            yield f"topic {topic} created, partitions: {partitions}"
