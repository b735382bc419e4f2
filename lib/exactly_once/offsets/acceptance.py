"""What a person vouches for with ``--accept-offsets``. Pure.

The value names the topic, and is bound to the offsets that the group has and to the topic's id. So
it is of no use for other offsets, and cannot stay in a file of settings for good.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

_DIGITS = 12
_ACCEPTANCE = re.compile(rf"[A-Za-z0-9._-]{{1,249}}@[0-9a-f]{{{_DIGITS}}}")
#: For a value that cannot be one; also that of earlier releases, which had no value.
EXPECTED = (
    "expected TOPIC@SUM, which names the offsets that it accepts: start without the setting, and"
    " the refusal prints the value"
)


def is_acceptance(text: str) -> bool:
    """Whether a text has the form of what :func:`sign_offsets` gives."""
    return _ACCEPTANCE.fullmatch(text) is not None


def sign_offsets(
    committed: Mapping[int, int | None], *, topic: str, topic_id: str, group_id: str
) -> str:
    """The value that vouches for these offsets and for no others.

    Args:
        committed: partition → the group's offset, None where it has none.
        topic: the source topic.
        topic_id: Kafka's id of it now.
        group_id: the consumer group.
    """
    named = json.dumps([group_id, topic, topic_id, sorted(committed.items())])
    return f"{topic}@{hashlib.sha256(named.encode()).hexdigest()[:_DIGITS]}"
