"""Requests are repeated, and their first copy reaches the broker in the next transaction."""

from __future__ import annotations

import math
import uuid
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest

from lib.errors import SinkRetryExhaustedError
from lib.exactly_once.transaction.settings import OnStep, ignore_step
from lib.exactly_once.transaction.writer import TransactionalWriter
from lib.kafka.topics import create_topics
from lib.tools.broker import EmbeddedBroker
from tests.crash.proxy import Action, Interference, Proxy
from tests.crash.schedule import REQUESTS
from tests.exactly_once.writing import Setting, build_setting, write
from tests.support.topics import read_topic
from tests.support.waiting import wait_until


@dataclass
class Line:
    """A writer that reaches its broker through a proxy.

    Attributes:
        setting: topics and settings of the writer; reads through it do not use the proxy.
        proxy: proxy between the writer and the broker.
        on_step: function that is called at each step of the writer.
        seen_early: keys that read_committed readers saw while a transaction was open.
    """

    setting: Setting
    proxy: Proxy
    on_step: OnStep = ignore_step
    seen_early: list[bytes | str | None] = field(default_factory=list)

    def writer(self, **changes: Any) -> TransactionalWriter:
        servers = f"127.0.0.1:{self.proxy.port}"
        return self.setting.writer(
            bootstrap_servers=servers, on_step=lambda step: self.on_step(step), **changes
        )

    def interfere(self, request: str, action: Action, duration_s: float = math.inf) -> None:
        self.proxy.interfere(Interference(REQUESTS[request], action, duration_s))

    def has_arrived(self, key: bytes) -> bool:
        """Tell whether the output holds a message, be its transaction open or not."""
        found = read_topic(self.setting.servers, self.setting.output, "read_uncommitted")
        return any(message.key() == key for message in found)


@pytest.fixture
def line(proxied_broker: tuple[EmbeddedBroker, Proxy]) -> Line:
    broker, proxy = proxied_broker
    source, output = (f"{name}-{uuid.uuid4().hex[:8]}" for name in ("in", "out"))
    create_topics(broker.cluster, {source: 2, output: 1})
    return Line(build_setting(broker.bootstrap_servers, source, output), proxy)


@pytest.mark.parametrize(
    ("request_name", "step"),
    [
        ("AddPartitionsToTxn", "produced"),
        ("Produce", "produced"),
        ("AddOffsetsToTxn", "offsets_sent"),
        ("TxnOffsetCommit", "offsets_sent"),
        ("EndTxn", "produced"),
    ],
)
def test_a_stray_request_does_nothing_to_the_next_transaction(
    line: Line, request_name: str, step: str
) -> None:
    check_stray(line, request_name, step)


def test_a_loss_counts_too_that_is_worded_like_one_before(line: Line) -> None:
    """librdkafka leaves a repeated line out of its log for 30 s, except when it debugs."""
    line.interfere("InitProducerId", Action.LOSE_REQUEST)

    check_stray(line, "EndTxn", "produced")


def check_stray(line: Line, request_name: str, step: str) -> None:
    """Let a request of the second batch arrive at a step of the third batch."""
    setting, proxy = line.setting, line.proxy
    with closing(line.writer()) as writer:
        writer.open()
        write(writer, setting.messages([0, 1]), {0: 2, 1: 0}, batch_id=0)
        line.interfere(request_name, Action.STRAY)
        write(writer, setting.messages([2, 3]), {0: 4, 1: 0}, batch_id=1)
        delivered = len(proxy.delivered)

        def deliver(reached: str) -> None:
            if reached == step and len(proxy.delivered) == delivered:
                wait_until(lambda: line.has_arrived(b"0@7"))
                proxy.deliver()
                wait_until(lambda: len(proxy.delivered) == delivered + 1)
                line.seen_early = setting.keys()

        line.on_step = deliver
        write(writer, setting.messages([4, 5, 6, 7]), {0: 8, 1: 0}, batch_id=2)
        line.on_step = ignore_step

    assert line.seen_early == [b"0@0", b"0@1", b"0@2", b"0@3"]
    assert setting.keys() == [f"0@{offset}".encode() for offset in range(8)]
    assert {p: offset for p, (offset, _) in setting.committed().items()} == {0: 8, 1: 0}
    with closing(line.writer()) as restarted:
        restarted.open()
        report = write(restarted, setting.messages([4, 5, 6, 7]), {0: 8, 1: 0}, batch_id=2)
    assert (report.already_written, report.written) == ({setting.output: 4}, {})


def test_a_stray_initialisation_is_no_takeover(line: Line) -> None:
    """The writer fences itself, and nobody else signs the offsets."""
    setting, proxy = line.setting, line.proxy
    delivered = len(proxy.delivered)

    def deliver(reached: str) -> None:
        if reached == "begun" and len(proxy.delivered) == delivered:
            proxy.deliver()
            wait_until(lambda: len(proxy.delivered) == delivered + 1)

    with closing(line.writer(claim_wait_s=1.0)) as writer:
        line.interfere("InitProducerId", Action.STRAY)
        writer.open()
        write(writer, None, {0: 0, 1: 0}, batch_id=0)
        line.on_step = deliver
        write(writer, setting.messages([0, 1]), {0: 2, 1: 0}, batch_id=1)

    assert len(proxy.delivered) == delivered + 1
    assert setting.keys() == [b"0@0", b"0@1"]


def test_what_takes_longer_than_a_transaction_may_says_which_setting_to_change(line: Line) -> None:
    line.interfere("Produce", Action.DELAY, 5.0)
    line.interfere("Produce", Action.DELAY, 5.0)
    with closing(line.writer(transaction_timeout_s=1.0, attempts=2)) as writer:
        writer.open()
        with pytest.raises(SinkRetryExhaustedError, match=r"not done within 1 s.*--part-bytes"):
            write(writer, line.setting.messages([0]), {0: 1, 1: 0})

    assert line.setting.keys() == []
