"""A named broker is used if there is one, otherwise an embedded one is started."""

from __future__ import annotations

import pytest

from lib.tools.broker import EmbeddedBroker, ExternalBroker, provide_broker


def test_a_named_broker_is_used_and_none_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", " kafka-1:9092,kafka-2:9092 ")
    with provide_broker() as broker:
        assert broker == ExternalBroker("kafka-1:9092,kafka-2:9092")


@pytest.mark.broker
@pytest.mark.parametrize("address", [None, ""])
def test_without_a_name_one_is_started(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if address is None:
        monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    else:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", address)
    with provide_broker() as broker:
        assert isinstance(broker, EmbeddedBroker)
        assert broker.pid is not None
