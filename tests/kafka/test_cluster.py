from __future__ import annotations

import pytest

from lib.errors import SettingsError
from lib.kafka.cluster import RESERVED, Cluster, check_options

SCRAM = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": "job",
    "sasl.password": 'pass"word\\',
    "ssl.ca.location": "/etc/ca.pem",
}


def test_shared_options_reach_both_clients() -> None:
    options = {"client.id": "job", "security.protocol": "SSL"}

    assert Cluster("host:1", options).for_librdkafka() == {"bootstrap.servers": "host:1", **options}
    assert Cluster("host:1", options).for_spark() == {
        "kafka.bootstrap.servers": "host:1",
        "kafka.client.id": "job",
        "kafka.security.protocol": "SSL",
    }


def test_credentials_are_said_once_and_reach_java_in_its_own_form() -> None:
    options = Cluster("host:1", SCRAM).for_spark()

    assert options["kafka.sasl.jaas.config"] == (
        "org.apache.kafka.common.security.scram.ScramLoginModule required"
        ' username="job" password="pass\\"word\\\\";'
    )
    assert options["kafka.ssl.truststore.location"] == "/etc/ca.pem"
    assert options["kafka.ssl.truststore.type"] == "PEM"
    assert "kafka.sasl.password" not in options
    assert Cluster("host:1", SCRAM).for_librdkafka()["sasl.password"] == 'pass"word\\'


def test_java_only_options_stay_away_from_librdkafka() -> None:
    options = {"sasl.jaas.config": "x", "ssl.truststore.location": "/t", "client.id": "job"}

    assert Cluster("host:1", options).for_librdkafka() == {
        "bootstrap.servers": "host:1",
        "client.id": "job",
    }
    assert Cluster("host:1", options).for_spark()["kafka.sasl.jaas.config"] == "x"


def test_a_login_that_is_not_translated_needs_javas_form_too() -> None:
    kerberos = {"security.protocol": "SASL_SSL", "sasl.mechanism": "GSSAPI"}

    with pytest.raises(SettingsError, match=r"sasl\.mechanism=GSSAPI .*sasl\.jaas\.config"):
        Cluster("host:1", kerberos).for_spark()


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_options_of_the_job_itself_are_refused(key: str) -> None:
    with pytest.raises(SettingsError, match=f"--kafka sets {key}"):
        check_options({key: "x"})


def test_a_client_certificate_in_one_file_reaches_java_as_a_key_store() -> None:
    options = {
        "security.protocol": "SSL",
        "ssl.certificate.location": "/own.pem",
        "ssl.key.location": "/own.pem",
        "ssl.key.password": "secret",
    }

    assert Cluster("host:1", options).for_spark() == {
        "kafka.bootstrap.servers": "host:1",
        "kafka.security.protocol": "SSL",
        "kafka.ssl.keystore.location": "/own.pem",
        "kafka.ssl.keystore.type": "PEM",
        "kafka.ssl.key.password": "secret",
    }


def test_a_client_certificate_as_text_reaches_java_as_text() -> None:
    options = {"ssl.certificate.pem": "chain", "ssl.key.pem": "key"}

    assert Cluster("host:1", options).for_spark() == {
        "kafka.bootstrap.servers": "host:1",
        "kafka.ssl.keystore.certificate.chain": "chain",
        "kafka.ssl.keystore.key": "key",
        "kafka.ssl.keystore.type": "PEM",
    }


def test_a_client_certificate_in_two_files_is_refused_with_the_way_out() -> None:
    options = {"ssl.certificate.location": "/a.pem", "ssl.key.location": "/b.pem"}

    with pytest.raises(SettingsError, match=r"name two files, .*into one PEM file"):
        Cluster("host:1", options).for_spark()


@pytest.mark.parametrize(
    ("options", "principal"),
    [
        (SCRAM, "User:job"),
        ({"sasl.jaas.config": 'x.Module required username="ada" password="p";'}, "User:ada"),
        ({}, "User:ANONYMOUS"),
        ({"security.protocol": "PLAINTEXT"}, "User:ANONYMOUS"),
        # Clients with a certificate have a name that only the brokers derive from its subject.
        ({"security.protocol": "SSL"}, "User:NAME"),
    ],
)
def test_the_user_is_named_as_kafka_names_it(options: dict[str, str], principal: str) -> None:
    assert Cluster("host:1", options).principal == principal


def test_whoever_prints_a_cluster_prints_no_password() -> None:
    assert repr(Cluster("host:1", SCRAM)) == "Cluster(bootstrap_servers='host:1')"


def test_the_addresses_are_those_that_clients_speak_of() -> None:
    cluster = Cluster("kafka-1, SASL_SSL://kafka-2:9093,[::1]:9094,")

    assert cluster.servers == ["kafka-1:9092", "kafka-2:9093", "[::1]:9094"]
