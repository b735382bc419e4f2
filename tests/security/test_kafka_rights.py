from __future__ import annotations

import pytest

from lib.kafka.rights import Right, name_principal


@pytest.mark.parametrize(
    ("options", "principal"),
    [
        ({"security.protocol": "SASL_SSL", "sasl.username": "ada"}, "User:ada"),
        ({"sasl.jaas.config": 'x.Module required username="ada" password="p";'}, "User:ada"),
        ({}, "User:ANONYMOUS"),
        ({"security.protocol": "PLAINTEXT"}, "User:ANONYMOUS"),
        # By certificate: only the brokers know what they make of its subject.
        ({"security.protocol": "SSL"}, "User:NAME"),
    ],
)
def test_the_user_is_named_as_kafka_names_it(options: dict[str, str], principal: str) -> None:
    assert name_principal(options) == principal


def test_a_command_quotes_what_a_shell_would_read() -> None:
    right = Right("WRITE", "transactional id", "q-", "writes", is_prefix=True)

    assert right.command("User:CN=ada, O=x") == (
        "kafka-acls.sh --add --allow-principal 'User:CN=ada, O=x' --operation WRITE"
        " --transactional-id q- --resource-pattern-type prefixed"
    )
    assert str(right) == "WRITE on transactional id q-*"
