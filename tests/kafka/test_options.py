"""Each client family gets the options that it knows, in its own form; the others are refused."""

from __future__ import annotations

from pathlib import Path

import confluent_kafka
import pytest

from lib.errors import SettingsError
from lib.kafka.cluster import RESERVED, Cluster, check_options
from lib.kafka.options import java_list, librdkafka_list
from lib.kafka.options.java_values import check_java_values
from lib.kafka.options.librdkafka_check import check_librdkafka
from lib.kafka.secrets import is_secret
from tests.kafka.client_options import read_librdkafka_options
from tests.support.process import run_python

OAUTH = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.client.id": "job",
    "sasl.oauthbearer.client.secret": 'a"b\\c',
    "sasl.oauthbearer.token.endpoint.url": "https://login/token",
}
LOGIN_MODULE = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
LOGIN_HANDLER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler"


def for_java(options: dict[str, str]) -> dict[str, str]:
    found = Cluster("host:1", options).for_spark()
    assert found.pop("kafka.bootstrap.servers") == "host:1"
    return {name.removeprefix("kafka."): value for name, value in found.items()}


def for_librdkafka(options: dict[str, str]) -> dict[str, object]:
    found = Cluster("host:1", options).for_librdkafka()
    assert found.pop("bootstrap.servers") == "host:1"
    return dict(found)


def test_the_list_of_librdkafka_is_that_of_the_installed_library(tmp_path: Path) -> None:
    options, aliases = read_librdkafka_options(tmp_path)

    # If this fails: .venv/bin/python -m tests.kafka.write_options
    assert confluent_kafka.libversion()[0] == librdkafka_list.VERSION
    assert options == librdkafka_list.OPTIONS
    assert aliases == librdkafka_list.ALIASES


@pytest.mark.parametrize(
    "name",
    [
        *("fetch.max.wait.ms", "max.request.size", "default.api.timeout.ms", "max.block.ms"),
        *("receive.buffer.bytes", "send.buffer.bytes", "buffer.memory", "metrics.num.samples"),
        *("ssl.enabled.protocols", "ssl.protocol", "sasl.login.read.timeout.ms"),
        *("ssl.truststore.type", "config.providers", "config.providers.env.class"),
    ],
)
def test_an_option_of_java_goes_to_java_alone(name: str) -> None:
    value = "100" if name in java_list.OPTIONS and not name.startswith("ssl") else "x"

    assert for_java({name: value}) == {name: value}
    assert for_librdkafka({name: value}) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("fetch.wait.max.ms", "message.max.bytes", "socket.timeout.ms", "log_level", "debug"),
        *("socket.receive.buffer.bytes", "queue.buffering.max.messages", "ssl.crl.location"),
        *("enable.ssl.certificate.verification", "statistics.interval.ms", "compression.codec"),
        *("topic.metadata.refresh.interval.ms", "broker.address.family", "https.ca.location"),
    ],
)
def test_an_option_of_librdkafka_goes_to_librdkafka_alone(name: str) -> None:
    assert for_java({name: "x"}) == {}
    assert for_librdkafka({name: "x"}) == {name: "x"}


def test_an_option_of_both_goes_to_both() -> None:
    options = {"client.rack": "a", "request.timeout.ms": "9000", "metadata.max.age.ms": "1000"}

    assert for_java(options) == options
    assert for_librdkafka(options) == options


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("security.protcol", "did you mean security.protocol?"),
        ("fetch.max.wait.mss", "did you mean fetch.max.wait.ms?"),
        ("queue.buffering.max.message", "did you mean queue.buffering.max.messages?"),
        ("Security.Protocol", "did you mean security.protocol?"),
        # Functions, which no text can set.
        ("error_cb", "correct its name, or leave it out"),
        ("xyzzy", "correct its name, or leave it out"),
        # An option of brokers.
        ("log.retention.hours", "correct its name, or leave it out"),
    ],
)
def test_a_name_that_no_client_knows_is_refused_with_a_guess(name: str, hint: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        check_options({name: "hunter2", "client.id": "x"})

    assert str(refusal.value) == (
        f"--kafka {name}: neither librdkafka 2.16.0 nor Kafka's Java client 3.9.2 has such an"
        f" option ({hint})"
    )


def test_whoever_makes_a_cluster_meets_the_same_refusals() -> None:
    with pytest.raises(SettingsError, match="--kafka securityprotocol: neither"):
        Cluster("host:1", {"securityprotocol": "SSL"})
    with pytest.raises(SettingsError, match=r"--kafka sets group\.id"):
        Cluster("host:1", {"group.id": "x"})


def test_other_names_of_reserved_options_are_reserved_too() -> None:
    # At least once, Java's producer may get it; the sink's own producer keeps its value.
    tolerated = {"delivery.timeout.ms"}
    pairs = [{alias, name} for alias, name in librdkafka_list.ALIASES.items()]

    assert [pair for pair in pairs if pair & RESERVED and pair - RESERVED - tolerated] == []


def test_spark_would_refuse_interceptors_later() -> None:
    with pytest.raises(SettingsError, match=r"interceptor\.classes: Spark's Kafka source takes no"):
        check_options({"interceptor.classes": "x.Y"})


def test_every_password_of_javas_list_is_taken_for_a_secret() -> None:
    passwords = [name for name, (kind, _) in java_list.OPTIONS.items() if kind == "PASSWORD"]

    # Certificates are public; Java calls them passwords because they may be long.
    public = {"ssl.keystore.certificate.chain", "ssl.truststore.certificates"}
    assert len(passwords) == 7
    assert {name for name in passwords if not is_secret(name)} == public


@pytest.mark.parametrize("value", ["none", "NONE", ""])
def test_verification_of_host_names_is_turned_off_for_both(value: str) -> None:
    options = {"ssl.endpoint.identification.algorithm": value}

    assert for_java(options) == {"ssl.endpoint.identification.algorithm": ""}
    assert for_librdkafka(options) == {"ssl.endpoint.identification.algorithm": "none"}
    check_librdkafka(options)


def test_verification_of_host_names_is_turned_on_for_both() -> None:
    options = {"ssl.endpoint.identification.algorithm": "https"}

    assert for_java(options) == options
    assert for_librdkafka(options) == options


def test_authorities_as_text_reach_java_as_text() -> None:
    assert for_java({"ssl.ca.pem": "-----BEGIN"}) == {
        "ssl.truststore.certificates": "-----BEGIN",
        "ssl.truststore.type": "PEM",
    }


def test_the_other_name_of_the_mechanism_reaches_java_too() -> None:
    options = {
        "security.protocol": "sasl_ssl",
        "sasl.mechanisms": "PLAIN",
        "sasl.username": "ada",
        "sasl.password": "x",
    }

    assert for_java(options) == {
        "security.protocol": "sasl_ssl",
        "sasl.mechanism": "PLAIN",
        "sasl.jaas.config": "org.apache.kafka.common.security.plain.PlainLoginModule required"
        ' username="ada" password="x";',
    }


def test_client_credentials_are_said_once_and_reach_java_in_its_own_form() -> None:
    more = {
        "sasl.oauthbearer.scope": "kafka",
        "sasl.oauthbearer.extensions": "logicalCluster=lkc-1, identityPoolId=pool-2",
        "https.ca.location": "/etc/login.pem",
    }

    assert for_java({**OAUTH, **more}) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.token.endpoint.url": "https://login/token",
        "sasl.login.callback.handler.class": LOGIN_HANDLER,
        "sasl.jaas.config": f'{LOGIN_MODULE} required clientId="job" clientSecret="a\\"b\\\\c"'
        ' scope="kafka" extension_logicalCluster="lkc-1" extension_identityPoolId="pool-2"'
        ' ssl.truststore.location="/etc/login.pem" ssl.truststore.type="PEM";',
    }
    assert for_librdkafka({**OAUTH, **more}) == {**OAUTH, **more}


def test_client_credentials_may_have_their_other_names() -> None:
    options = {
        name.replace("bearer.client.", "bearer.client.credentials.client."): value
        for name, value in OAUTH.items()
    }

    assert for_java(options)["sasl.jaas.config"] == (
        f'{LOGIN_MODULE} required clientId="job" clientSecret="a\\"b\\\\c";'
    )


def test_a_jaas_line_of_ones_own_is_kept() -> None:
    own = {"sasl.jaas.config": "x.Y required;", "sasl.login.callback.handler.class": "x.Handler"}

    assert for_java({**OAUTH, "sasl.oauthbearer.grant.type": "x", **own}) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "OAUTHBEARER",
        "sasl.oauthbearer.token.endpoint.url": "https://login/token",
        **own,
    }


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sasl.oauthbearer.grant.type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
        ("sasl.oauthbearer.assertion.file", "/run/token"),
        ("sasl.oauthbearer.metadata.authentication.type", "azure_imds"),
        ("https.ca.pem", "-----BEGIN"),
    ],
)
def test_tokens_that_java_cannot_get_are_refused(option: str, value: str) -> None:
    cluster = Cluster("host:1", {**OAUTH, option: value})

    with pytest.raises(SettingsError, match=rf"--kafka {option}: Spark's Java client gets tokens"):
        cluster.for_spark()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"security.protocol": "SASL_SSL", "sasl.username": "ada"},
            "--kafka security.protocol=SASL_SSL without sasl.mechanism, for which clients take"
            " Kerberos (name the mechanism of the cluster's listener: PLAIN, SCRAM-SHA-256,"
            " SCRAM-SHA-512 or OAUTHBEARER)",
        ),
        (
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "AWS_MSK_IAM"},
            "--kafka sasl.mechanism=AWS_MSK_IAM is not supported (librdkafka does not know it, and"
            " Java needs the jar aws-msk-iam-auth; let the cluster take SCRAM-SHA-512 or client"
            " certificates too, as Amazon MSK can)",
        ),
        (
            {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"},
            "--kafka sasl.mechanism=OAUTHBEARER without sasl.oauthbearer.method=oidc: nothing says"
            " where tokens come from (give the method, sasl.oauthbearer.token.endpoint.url,"
            " sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret)",
        ),
    ],
)
def test_a_way_to_sign_in_that_cannot_work_is_refused_by_name(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        check_options(options)

    assert str(refusal.value) == message


def test_kerberos_is_refused_where_the_library_was_built_without_it() -> None:
    options = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "GSSAPI"}

    with pytest.raises(SettingsError, match=r"GSSAPI \(Kerberos\): the installed .*libsasl2"):
        check_librdkafka(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"security.protocol": "SASL_SSLX"}, r'Invalid value "SASL_SSLX" for .*security\.protocol'),
        ({"partitioner": "best"}, r'Invalid value for configuration property "partitioner'),
        ({"socket.timeout.ms": "1"}, r'"socket\.timeout\.ms" value 1 is outside allowed range'),
        ({"socket.keepalive.enable": "yes"}, r'Expected bool value for "socket\.keepalive'),
        ({"debug": "brokers"}, r'Invalid value "brokers" for configuration property "debug"'),
        # Wrong only together, or for one kind of client.
        ({"max.in.flight": "10"}, r"`max\.in\.flight` must be set <= 5"),
        ({"session.timeout.ms": "400000"}, r"`max\.poll\.interval\.ms`must be >="),
        ({"security.protocol": "ssl", "ssl.ca.location": "/nowhere"}, r"ssl\.ca\.location failed"),
        # A file without a certificate.
        ({"security.protocol": "ssl", "ssl.ca.location": __file__}, r"ssl\.ca\.location failed"),
        (
            {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "SCRAM-SHA512",
                "sasl.username": "ada",
                "sasl.password": "hunter2",
            },
            r"Unsupported SASL mechanism: SCRAM-SHA512",
        ),
    ],
)
def test_a_value_that_librdkafka_does_not_take_is_refused_in_its_words(
    options: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as refusal:
        check_librdkafka(options)

    assert str(refusal.value).startswith("librdkafka does not take the --kafka options: ")
    assert "\n" not in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        # librdkafka would read the digits, and pass over the rest.
        ("socket.timeout.ms", "10 s", "expected a whole number, found '10 s'"),
        ("fetch.max.bytes", "1MB", "expected a whole number, found '1MB'"),
        ("statistics.interval.ms", "1.5", "expected a whole number, found '1.5'"),
        ("statistics.interval.ms", "", "expected a whole number, found ''"),
        ("linger.ms", "5ms", "expected a number, found '5ms'"),
    ],
)
def test_a_value_that_is_no_number_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        check_librdkafka({name: value})

    assert refusal.value.message == f"--kafka {name}: {message}"


def test_numbers_pass() -> None:
    check_librdkafka({"linger.ms": "0.5", "fetch.min.bytes": "0x10", "batch.size": "+900000"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("max.request.size", "1 MB", "expected a whole number from 0, found '1 MB'"),
        ("max.request.size", "-1", "expected a whole number from 0, found '-1'"),
        ("max.request.size", "2147483648", "expected a whole number from 0, found '2147483648'"),
        ("send.buffer.bytes", "1.5", "expected a whole number from -1, found '1.5'"),
        ("compression.lz4.level", "18", "expected a whole number from 1 to 17, found '18'"),
        ("compression.gzip.level", "0", "expected a whole number from 1 to 9 or -1, found '0'"),
        (
            *("sasl.login.refresh.window.factor", "2"),
            "expected a number from 0.5 to 1.0, found '2'",
        ),
        ("sasl.kerberos.ticket.renew.jitter", "x", "expected a number, found 'x'"),
        ("connections.max.idle.ms", "never", "expected a whole number, found 'never'"),
        ("check.crcs", "yes", "expected true or false, found 'yes'"),
        (
            *("security.protocol", "TLS"),
            "expected one of PLAINTEXT, SASL_PLAINTEXT, SASL_SSL, SSL, found 'TLS'",
        ),
        (
            *("compression.type", "LZ4"),
            "expected one of gzip, lz4, none, snappy, zstd, found 'LZ4'",
        ),
        ("group.instance.id", "", "expected some text, found ''"),
    ],
)
def test_a_value_that_java_does_not_take_is_refused(name: str, value: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        check_java_values({name: value})

    assert refusal.value.message == f"--kafka {name}: {message}"


def test_values_that_java_takes_pass() -> None:
    check_java_values(
        {
            "max.request.size": " +2147483647 ",
            "check.crcs": "TRUE",
            "compression.gzip.level": "-1",
            "security.protocol": "sasl_ssl",
            "sasl.login.refresh.window.factor": "5e-1",
            "sasl.jaas.config": "anything",
            "config.providers": "env",
        }
    )


@pytest.mark.parametrize(
    ("job", "option", "line"),
    [
        (
            *("score_stream", "fetch.max.wait.mss=9"),
            "error: --kafka fetch.max.wait.mss: neither librdkafka 2.16.0 nor Kafka's Java client"
            " 3.9.2 has such an option (did you mean fetch.max.wait.ms?)\n",
        ),
        (
            *("score_stream", "security.protocol=SASL_SSLX"),
            "error: --kafka security.protocol: expected one of PLAINTEXT, SASL_PLAINTEXT, SASL_SSL,"
            " SSL, found 'SASL_SSLX' (correct the setting; --help lists them all)\n",
        ),
        (
            *("score_stream", "max.request.size=1MB"),
            "error: --kafka max.request.size: expected a whole number from 0, found '1MB' (correct"
            " the setting; --help lists them all)\n",
        ),
        (
            *("consume", "security.protocol=SASL"),
            'error: librdkafka does not take the --kafka options: Invalid value "SASL" for'
            ' configuration property "security.protocol" (correct the option; docs/settings.md says'
            " whose names are used)\n",
        ),
    ],
)
def test_the_job_ends_with_one_line_and_exit_code_2_before_it_asks_anybody(
    job: str, option: str, line: str
) -> None:
    done = run_python(f"jobs/{job}.py", "--bootstrap-servers=127.0.0.1:1", "--kafka", option)

    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
