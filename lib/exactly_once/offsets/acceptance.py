"""The value of ``--accept-offsets``, with which a person accepts the group's offsets. Pure.

The value names the topic, and is bound to the group's offsets and to the topic's id. So it does not
accept any other offsets, and has no effect if it stays in a file of settings.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

_DIGITS = 12
_ACCEPTANCE = re.compile(rf"[A-Za-z0-9._-]{{1,249}}@[0-9a-f]{{{_DIGITS}}}")
#: The hint for a wrong value, and for the flag of versions before 0.1.0, which had no value.
EXPECTED = (
    "expected TOPIC@SUM, which names the offsets that it accepts: start without the setting, and"
    " the refusal prints the value"
)


def is_acceptance(text: str) -> bool:
    """Tell whether a text has the form of a value from :func:`sign_offsets`."""
    return _ACCEPTANCE.fullmatch(text) is not None


def sign_offsets(
    committed: Mapping[int, int | None], *, topic: str, topic_id: str, group_id: str
) -> str:
    """Compute the value that accepts these offsets and no others.

    Args:
        committed: partition → the group's offset, None where it has none.
        topic: the source topic.
        topic_id: Kafka's id of the topic now.
        group_id: the consumer group.
    """
    named = json.dumps([group_id, topic, topic_id, sorted(committed.items())])
    return f"{topic}@{hashlib.sha256(named.encode()).hexdigest()[:_DIGITS]}"
