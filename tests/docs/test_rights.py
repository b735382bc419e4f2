"""docs/security.md lists the rights that the code has, and the commands that grant them."""

from __future__ import annotations

from functools import partial

from lib.kafka.rights import Right, list_rights
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from tests.docs.documents import iter_blocks, read_document

DOCUMENT = "docs/security.md"


def list_default_rights(*, executors_commit: bool = False) -> tuple[Right, ...]:
    """Return the rights that a job with the default settings needs."""
    settings = load_settings(ScoreStreamSettings, [], {})
    return list_rights(
        input_topic=settings.input_topic,
        output_topic=settings.output_topic,
        dead_letter_topic=settings.dead_letter_topic,
        query_name=settings.query_name,
        executors_commit=executors_commit,
    )


def test_the_table_holds_every_right() -> None:
    rows = "".join(
        f"| {right.operation} | {right.kind} `{right.name}` |"
        f" {right.purpose}{'; optional' if right.is_optional else ''} |\n"
        for right in list_default_rights()
    )

    assert f"| operation | resource | what for |\n|---|---|---|\n{rows}\n" in read_document(
        DOCUMENT
    )


def test_the_commands_grant_every_right() -> None:
    written = [
        line.replace("--bootstrap-server localhost:9092 ", "")
        for block in iter_blocks(DOCUMENT, "bash")
        for line in block.text.splitlines()
        if line.startswith("kafka-acls.sh")
    ]

    assert written == [right.command("User:churn-scoring") for right in list_default_rights()]


def test_shadows_need_the_right_to_write_to_their_topic() -> None:
    listed = partial(
        list_rights,
        input_topic="in",
        output_topic="out",
        dead_letter_topic="dead",
        query_name="query",
    )

    more = set(listed(shadow_topic="shadows")) - set(listed())

    assert {right.command("User:x") for right in more} == {
        "kafka-acls.sh --add --allow-principal User:x --operation WRITE --topic shadows",
        "kafka-acls.sh --add --allow-principal User:x --operation DESCRIBE_CONFIGS --topic shadows",
    }
    assert "need WRITE, and optionally DESCRIBE_CONFIGS, on `--shadow-topic`" in read_document(
        DOCUMENT
    )


def test_the_rights_of_executors_that_commit_are_described() -> None:
    (more,) = set(list_default_rights(executors_commit=True)) - set(list_default_rights())

    assert more.command("User:x").endswith(
        "--operation WRITE --transactional-id churn-scoring: --resource-pattern-type prefixed"
    )
    assert (
        "WRITE with `--transactional-id churn-scoring: --resource-pattern-type prefixed`"
        in read_document(DOCUMENT)
    )
