"""Every job that writes refuses settings with which records would go round in a loop."""

from __future__ import annotations

from itertools import combinations

import pytest

from lib.errors import SettingsError
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from lib.settings.topics import list_topics
from tests.support.process import run_python

#: This job reads either topic, and writes none.
ONLY_READS = "consume"
PAIRS = [
    (job, *pair)
    for job, kind in JOB_SETTINGS.items()
    if job != ONLY_READS
    for pair in combinations(list_topics(kind), 2)
]


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def test_every_setting_that_names_a_topic_is_found() -> None:
    assert {job: topics for job, kind in JOB_SETTINGS.items() if (topics := list_topics(kind))} == {
        "score_stream": ["input_topic", "output_topic", "dead_letter_topic", "shadow_topic"],
        "check": ["input_topic", "output_topic", "dead_letter_topic", "shadow_topic"],
        "evaluate": ["output_topic", "outcome_topic"],
        "produce": ["input_topic"],
        "consume": ["output_topic", "dead_letter_topic"],
        "dead_letters": ["dead_letter_topic", "input_topic"],
        "resend": ["dead_letter_topic", "input_topic"],
        "offsets": ["input_topic"],
        "topics": ["input_topic", "output_topic", "dead_letter_topic", "shadow_topic"],
    }


@pytest.mark.parametrize(("job", "first", "second"), PAIRS)
def test_two_roles_of_one_topic_are_refused(job: str, first: str, second: str) -> None:
    with pytest.raises(SettingsError, match=r"^--\S+ and --\S+ both name same: ") as refusal:
        load_settings(JOB_SETTINGS[job], [flag(first), "same", flag(second), "same"], {})

    for name in (first, second):
        assert flag(name) in refusal.value.message


@pytest.mark.parametrize(
    ("topics", "message"),
    [
        (
            ("--input-topic", "customers", "--output-topic", "customers"),
            "--input-topic and --output-topic both name customers: what is written there would"
            " come back as input, without end; expected a topic for each",
        ),
        (
            ("--dead-letter-topic", "telco.raw.customers"),
            "--input-topic and --dead-letter-topic both name telco.raw.customers: what is written"
            " there would come back as input, without end; expected a topic for each",
        ),
        (
            ("--output-topic", "telco.deadletter"),
            "--output-topic and --dead-letter-topic both name telco.deadletter: predictions and"
            " dead letters would get mixed up; expected a topic for each",
        ),
        (
            ("--shadow-topic", "telco.deadletter"),
            "--dead-letter-topic and --shadow-topic both name telco.deadletter: what shadows answer"
            " would get mixed up with the job's own messages; expected a topic for each",
        ),
    ],
)
@pytest.mark.parametrize("delivery", ["exactly-once", "at-least-once"])
def test_the_refusal_names_both_settings_the_topic_and_what_would_happen(
    topics: tuple[str, ...], message: str, delivery: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        load_settings(JOB_SETTINGS["score_stream"], [*topics, "--delivery", delivery], {})

    assert refusal.value.message == message


def test_the_topics_may_come_from_different_places() -> None:
    with pytest.raises(SettingsError, match="--output-topic both name from-a-variable"):
        load_settings(
            JOB_SETTINGS["score_stream"],
            ["--input-topic", "from-a-variable"],
            {"SCORE_OUTPUT_TOPIC": "from-a-variable"},
        )


def test_a_job_that_only_reads_may_look_at_any_topic() -> None:
    settings = load_settings(JOB_SETTINGS[ONLY_READS], ["--output-topic", "telco.deadletter"], {})

    assert settings.model_dump()["output_topic"] == "telco.deadletter"


@pytest.mark.parametrize(
    ("job", "line"),
    [
        (
            "score_stream",
            "error: --input-topic and --dead-letter-topic both name same: what is written there"
            " would come back as input, without end; expected a topic for each (correct the"
            " setting; --help lists them all)\n",
        ),
        (
            "resend",
            "error: --dead-letter-topic and --input-topic both name same: what is written there"
            " would come back as input, without end; expected a topic for each (correct the"
            " setting; --help lists them all)\n",
        ),
    ],
)
def test_the_job_ends_with_one_line_and_exit_code_2_before_it_asks_anybody(
    job: str, line: str
) -> None:
    done = run_python(
        f"jobs/{job}.py",
        "--bootstrap-servers=127.0.0.1:1",  # no broker answers at this address
        "--input-topic=same",
        "--dead-letter-topic=same",
    )

    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)
