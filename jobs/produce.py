"""Send customers to a topic, for trials and load tests.

Run it with ``.venv/bin/python jobs/produce.py --help``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.errors import SinkError
from lib.exit_codes import ExitCode
from lib.interruption import Interruption
from lib.kafka.admin import has_topic, refuse_missing_topics
from lib.kafka.connection.connect import connect
from lib.kafka.topics import create_topics
from lib.settings.command import run_job
from lib.settings.domain import choose_contract
from lib.settings.jobs.produce import ProduceSettings
from lib.tools.produce.mixture import mix_messages
from lib.tools.produce.progress import build_send_view
from lib.tools.produce.records import iter_source
from lib.tools.produce.sending import SendReport, Target, send_messages


def produce(settings: ProduceSettings) -> int:
    """Send records, and report.

    Raises:
        ScoringError: source or topic cannot be used, or a record was not delivered.
    """
    contract = choose_contract(settings.contract)
    customers, total = iter_source(settings.source, settings.count, settings.seed, contract)
    prepare_topic(settings)
    messages = mix_messages(customers, contract, bad_share=settings.bad_share, seed=settings.seed)
    target = Target(settings.cluster, settings.input_topic)
    view = build_send_view(sys.stdout, settings.input_topic, total)
    numbers = count(1)
    with Interruption() as interruption:
        report = send_messages(
            messages,
            target,
            rate=settings.rate,
            is_stopped=interruption.is_requested,
            on_sent=lambda message: view.show(next(numbers)),
        )
    view.close(report.sent)
    print_report(report, settings)
    is_cut_short = total is not None and report.sent < total
    return ExitCode.INTERRUPTED if interruption.is_requested() and is_cut_short else 0


def prepare_topic(settings: ProduceSettings) -> None:
    """Make sure that the topic exists; create it if the settings say so."""
    cluster, topic = settings.cluster, settings.input_topic
    admin = connect(cluster)
    if has_topic(admin, topic):
        return
    if not settings.create_topic:
        refuse_missing_topics(cluster, [topic], may_be_hidden=cluster.signs_in)
    # Errors are raised; the client's own lines about them are for those who ask for more.
    if settings.verbose:
        cluster = replace(cluster, options={"log_level": "3", **cluster.options})
    create_topics(cluster, {topic: settings.topic_partitions})
    print(f"created topic {topic} with {settings.topic_partitions} partitions")


def print_report(report: SendReport, settings: ProduceSettings) -> None:
    """Report what was delivered.

    Raises:
        SinkError: a record was not delivered.
    """
    rate = report.delivered / report.duration_s if report.duration_s else 0.0
    print(
        f"{report.delivered:,} records delivered to {settings.input_topic}"
        f" in {report.duration_s:.1f} s ({rate:,.0f}/s)"
    )
    if report.delivered < report.sent:
        reasons = ", ".join(f"{name} {number:,}" for name, number in report.failures.items())
        raise SinkError(
            f"{report.sent - report.delivered:,} of {report.sent:,} records were not delivered"
            f" to {settings.input_topic}: {reasons}",
            hint="check the brokers and the topic's limits, then send again",
        )


if __name__ == "__main__":
    sys.exit(run_job(ProduceSettings, produce))
