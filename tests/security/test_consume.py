"""``jobs/consume.py`` needs only the right to read on a broker with ACLs."""

from __future__ import annotations

import pytest

from jobs.consume import consume
from lib.errors import KafkaSetupError, SourceError
from lib.kafka.rights import Right
from lib.settings.jobs.consume import ConsumeSettings
from tests.end_to_end.jobs import Deployment
from tests.security.cluster import SecureBroker, User, grant
from tests.support.topics import produce

pytestmark = pytest.mark.broker


@pytest.fixture
def settings(secure_broker: SecureBroker, secure_deployment: Deployment) -> ConsumeSettings:
    topic = secure_deployment.output_topic
    produce(secure_broker.admin_servers, topic, [(b"key", b"a prediction")])
    return ConsumeSettings(
        bootstrap_servers=secure_broker.bootstrap_servers,
        kafka=secure_broker.options(),
        output_topic=topic,
    )


def test_the_right_to_read_the_topic_is_enough(
    secure_broker: SecureBroker,
    user: User,
    settings: ConsumeSettings,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grant(secure_broker, [Right("READ", "topic", settings.output_topic, "is read")])

    assert consume(settings) == 0

    assert capsys.readouterr().out == "a prediction\n"


def test_a_topic_that_is_seen_but_not_read_is_one_clear_error(
    secure_broker: SecureBroker, user: User, settings: ConsumeSettings
) -> None:
    grant(secure_broker, [Right("WRITE", "topic", settings.output_topic, "is seen")])

    with pytest.raises(SourceError, match=r"cannot be read: .*\(check the brokers, and the right"):
        consume(settings)


def test_a_topic_that_is_hidden_is_said_to_be_missing_or_hidden(
    secure_broker: SecureBroker, user: User, settings: ConsumeSettings
) -> None:
    with pytest.raises(KafkaSetupError, match=rf"missing at .*{settings.output_topic} \(.*right"):
        consume(settings)
