"""Makes sure that the topics of a job are different."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Self

from pydantic import model_validator

from lib.settings.base import JobSettings, KafkaSettings, name_flag

_INPUT, _SHADOW = "input_topic", "shadow_topic"


class DistinctTopicSettings(KafkaSettings):
    """The settings of a job that writes to Kafka, whose ``…_topic`` settings all differ."""

    @model_validator(mode="after")
    def _check_topics(self) -> Self:
        conflict = find_conflict({name: getattr(self, name) for name in list_topics(type(self))})
        if conflict is not None:
            raise ValueError(conflict)
        return self


def list_topics(kind: type[JobSettings]) -> list[str]:
    """List the settings of a job that name a topic."""
    fields = kind.model_fields.items()
    return [name for name, it in fields if name.endswith("_topic") and it.annotation is str]


def find_conflict(topics: Mapping[str, str]) -> str | None:
    """Describe what one topic in two settings would lead to; None if all topics differ.

    Args:
        topics: name of the setting → topic; empty if it is not known yet.
    """
    for (first, topic), (second, other) in combinations(topics.items(), 2):
        if topic == other != "":
            if _INPUT in (first, second):
                consequence = "what is written there would come back as input, without end"
            elif _SHADOW in (first, second):
                consequence = "what shadows answer would get mixed up with the job's own messages"
            else:
                consequence = "predictions and dead letters would get mixed up"
            flags = " and ".join(map(name_flag, (first, second)))
            return f"{flags} both name {topic}: {consequence}; expected a topic for each"
    return None
