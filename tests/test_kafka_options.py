from __future__ import annotations

import pytest

from lib.errors import SettingsError
from lib.kafka_options import RESERVED, check_options, for_librdkafka, for_spark

SCRAM = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "job",
    "sasl.password": 'pass"word\\',
    "ssl.ca.location": "/etc/ca.pem",
}


def test_shared_options_reach_both_clients() -> None:
    options = {"client.id": "job", "security.protocol": "SSL"}

    assert for_librdkafka("host:1", options) == {"bootstrap.servers": "host:1", **options}
    assert for_spark("host:1", options) == {
        "kafka.bootstrap.servers": "host:1",
        "kafka.client.id": "job",
        "kafka.security.protocol": "SSL",
    }


def test_credentials_are_said_once_and_reach_java_in_its_own_form() -> None:
    options = for_spark("host:1", SCRAM)

    assert options["kafka.sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required"
        ' username="job" password="pass\\"word\\\\";'
    )
    assert options["kafka.ssl.truststore.location"] == "/etc/ca.pem"
    assert options["kafka.ssl.truststore.type"] == "PEM"
    assert "kafka.sasl.password" not in options
    assert for_librdkafka("host:1", SCRAM)["sasl.password"] == 'pass"word\\'


def test_java_only_options_stay_away_from_librdkafka() -> None:
    options = {"sasl.jaas.config": "x", "ssl.truststore.location": "/t", "client.id": "job"}

    assert for_librdkafka("host:1", options) == {"bootstrap.servers": "host:1", "client.id": "job"}
    assert for_spark("host:1", options)["kafka.sasl.jaas.config"] == "x"


def test_an_unknown_login_mechanism_needs_javas_form_too() -> None:
    with pytest.raises(SettingsError, match=r"sasl\.mechanism=OAUTHBEARER .*sasl\.jaas\.config"):
        for_spark("host:1", {**SCRAM, "sasl.mechanism": "OAUTHBEARER"})


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_options_of_the_job_itself_are_refused(key: str) -> None:
    with pytest.raises(SettingsError, match=f"--kafka sets {key}"):
        check_options({key: "x"})
