from __future__ import annotations

import pytest

from lib.errors import SettingsError
from lib.kafka.options import RESERVED, check_options, for_librdkafka, for_spark

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


def test_a_client_certificate_in_one_file_reaches_java_as_a_key_store() -> None:
    options = for_spark(
        "host:1",
        {
            "security.protocol": "SSL",
            "ssl.certificate.location": "/own.pem",
            "ssl.key.location": "/own.pem",
            "ssl.key.password": "secret",
        },
    )

    assert options == {
        "kafka.bootstrap.servers": "host:1",
        "kafka.security.protocol": "SSL",
        "kafka.ssl.keystore.location": "/own.pem",
        "kafka.ssl.keystore.type": "PEM",
        "kafka.ssl.key.password": "secret",
    }


def test_a_client_certificate_as_text_reaches_java_as_text() -> None:
    options = for_spark("host:1", {"ssl.certificate.pem": "chain", "ssl.key.pem": "key"})

    assert options == {
        "kafka.bootstrap.servers": "host:1",
        "kafka.ssl.keystore.certificate.chain": "chain",
        "kafka.ssl.keystore.key": "key",
        "kafka.ssl.keystore.type": "PEM",
    }


def test_a_client_certificate_in_two_files_is_refused_with_the_way_out() -> None:
    with pytest.raises(SettingsError, match=r"name two files, .*into one PEM file"):
        for_spark("host:1", {"ssl.certificate.location": "/a.pem", "ssl.key.location": "/b.pem"})
