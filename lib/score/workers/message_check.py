"""Counts the rows on which a model in the JVM failed, in the messages that answer them.

Spark's expressions evaluate to null where a model fails, and can neither count nor stop. So whoever
writes the messages counts them first: the driver, or the worker that commits a partition.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from lib.messages.dead_letter import HEADER_CLASS, DeadLetterFormat, ErrorType, OutputSettings
from lib.score.workers.failures import FailurePolicy

# A quote within a text of the envelope has a backslash before it, so only the field itself matches.
_IN_ENVELOPE = f'"error_type":"{ErrorType.INFERENCE}"'.encode()


@dataclass(frozen=True)
class MessageCheck:
    """Counts failures in messages before they are written. Tasks get it as a pickle.

    Attributes:
        model: the name of model and backend.
        policy: the limit, and where failures are reported.
        dead_letter_topic: the topic of dead letters.
        is_envelope: whether dead letters are JSON envelopes, and not bytes with headers.
    """

    model: str
    policy: FailurePolicy
    dead_letter_topic: str
    is_envelope: bool

    @classmethod
    def of(cls, model: str, policy: FailurePolicy, output: OutputSettings) -> MessageCheck:
        """Build the check for the messages that ``output`` describes."""
        is_envelope = output.dead_letter_format is DeadLetterFormat.ENVELOPE
        return cls(model, policy, output.dead_letter_topic, is_envelope)

    def __call__(self, messages: pa.Table) -> None:
        """Count the answers to valid records, and those of them without a probability.

        Args:
            messages: the columns of :data:`lib.messages.columns.MESSAGE_SCHEMA`.

        Raises:
            ModelFailingError: the model fails on nearly all records; see ``FailureTally``.
        """
        is_dead = pc.equal(messages["topic"], self.dead_letter_topic)
        dead = pc.sum(is_dead).as_py() or 0
        failed = self._count_failed(messages.filter(is_dead)) if dead else 0
        self.policy.open(self.model).note(messages.num_rows - dead + failed, failed)

    def _count_failed(self, dead_letters: pa.Table) -> int:
        if self.is_envelope:
            is_failed = pc.match_substring(dead_letters["value"], _IN_ENVELOPE)
        else:
            headers = pc.list_flatten(dead_letters["headers"])
            is_failed = pc.and_(
                pc.equal(pc.struct_field(headers, "key"), HEADER_CLASS),
                pc.equal(pc.struct_field(headers, "value"), ErrorType.INFERENCE.encode()),
            )
        return pc.sum(is_failed).as_py() or 0
