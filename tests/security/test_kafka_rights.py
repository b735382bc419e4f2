from __future__ import annotations

from lib.kafka.rights import Right


def test_a_command_quotes_what_a_shell_would_read() -> None:
    right = Right("WRITE", "transactional id", "q-", "writes", is_prefix=True)

    assert right.command("User:CN=ada, O=x") == (
        "kafka-acls.sh --add --allow-principal 'User:CN=ada, O=x' --operation WRITE"
        " --transactional-id q- --resource-pattern-type prefixed"
    )
    assert str(right) == "WRITE on transactional id q-*"
