"""An embedded Kafka broker for the demonstration, tests and benchmarks.

``python -m lib.tools.broker`` runs one in the foreground.
"""

from __future__ import annotations

from lib.tools.broker.configuration import Listener
from lib.tools.broker.embedded import EmbeddedBroker
from lib.tools.broker.provision import BOOTSTRAP_VARIABLE, Broker, ExternalBroker, provide_broker

__all__ = [
    "BOOTSTRAP_VARIABLE",
    "Broker",
    "EmbeddedBroker",
    "ExternalBroker",
    "Listener",
    "provide_broker",
]
