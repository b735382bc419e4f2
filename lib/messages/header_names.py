"""The names of headers: those that dead letters get, and those that messages take from records."""

from __future__ import annotations

import re

# The names are Kafka Connect's, so that tools for its dead letters read these too (KIP-298).
CONNECT_PREFIX = "__connect.errors."
# Kafka Connect has no names for these.
SCORING_PREFIX = "__scoring."
#: The headers of a trace, which each message takes from its record (W3C Trace Context).
TRACE_HEADERS = ("traceparent", "tracestate")

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_ours(name: str) -> bool:
    """Tell whether a header is about the error, and not one of the sender's."""
    return name.startswith((CONNECT_PREFIX, SCORING_PREFIX))


def can_be_carried(name: str) -> bool:
    """Tell whether a message may take the headers of this name from its record."""
    return name == name.strip() != "" and not is_ours(name) and _CONTROL.search(name) is None
