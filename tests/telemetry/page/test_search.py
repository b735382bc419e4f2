"""The answers to a record are found by its key, committed ones only, within bounds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from lib.telemetry.page.search import RecordSearch, Topic
from tests.support.letters import send_letters
from tests.support.topics import produce

if TYPE_CHECKING:
    from lib.tools.broker import Broker
    from tests.conftest import TopicFactory

OTHERS = [(b"other-%d" % number, b'{"p": %d}' % number) for number in range(300)]


def test_a_key_is_found_in_both_topics_the_newest_message_first(
    broker: Broker, topic: TopicFactory
) -> None:
    predictions, letters = topic(3), topic(2)
    search = RecordSearch(
        broker.cluster, (Topic(predictions, "prediction"), Topic(letters, "dead letter"))
    )
    assert search.find("k-1")["words"] == "Neither topic has a message with this key."

    produce(broker.bootstrap_servers, predictions, [*OTHERS, (b"k-1", b'{"p": 0.25}')])
    produce(broker.bootstrap_servers, predictions, [(b"k-1", b'{"p": 0.75}'), *OTHERS])
    aborted = Producer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "transactional.id": f"search-{predictions}",
        }
    )
    aborted.init_transactions(30)
    aborted.begin_transaction()
    aborted.produce(predictions, key=b"k-1", value=b'{"p": 1}')
    aborted.flush(30)
    aborted.abort_transaction(30)
    send_letters(broker.bootstrap_servers, "records", letters, [(b"k-1", b"no JSON \xff", [])])

    found = search.find("k-1")

    assert found["words"] == "Found, the newest first."
    kinds = [(message["kind"], message["topic"]) for message in found["messages"]]
    assert kinds == [("prediction", predictions)] * 2 + [("dead letter", letters)]
    assert [json.loads(it["text"]).get("p") for it in found["messages"][:2]] == [0.75, 0.25]
    letter = json.loads(found["messages"][2]["text"])
    assert letter["original_encoding"] == "base64"
    assert letter["error_type"] == "processing_error"
    assert search.find("none")["words"] == "Neither topic has a message with this key."

    bounded = RecordSearch(broker.cluster, (Topic(predictions, "prediction"),), most_messages=50)
    assert bounded.find("none")["words"].startswith("Not among the newest 50 messages")


def test_a_topic_that_is_missing_is_told(broker: Broker) -> None:
    search = RecordSearch(broker.cluster, (Topic("there-is-none", "prediction"),))

    assert search.find("k")["words"].startswith("The topics cannot be read: ")
