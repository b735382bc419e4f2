"""Send dead letters to the input topic again, each once.

Run it with ``.venv/bin/python jobs/resend.py --help``.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exit_codes import ExitCode
from lib.interruption import Interruption
from lib.kafka.admin import has_topic, refuse_missing_topics
from lib.kafka.connection.connect import connect
from lib.settings.command import run_job
from lib.settings.jobs.resend import ResendSettings
from lib.tools.produce.progress import build_send_view
from lib.tools.resend.correction import load_correction
from lib.tools.resend.parts import ResendReport
from lib.tools.resend.positions import spell_positions
from lib.tools.resend.resend import preview, resend
from lib.tools.resend.selection import Outcome, Selection


def resend_dead_letters(settings: ResendSettings) -> int:
    """Send the chosen dead letters, and report what became of all.

    Raises:
        ScoringError: settings, topics or the correction cannot be used.
    """
    correct = None if settings.correction is None else load_correction(settings.correction)
    cluster, topics = settings.cluster, (settings.dead_letter_topic, settings.input_topic)
    admin = connect(cluster)
    missing = [topic for topic in topics if not has_topic(admin, topic)]
    refuse_missing_topics(cluster, missing, may_be_hidden=cluster.signs_in)
    selection = Selection(
        source_topic=settings.input_topic,
        error_types=settings.error_type,
        rules=settings.rule,
        fields=settings.field,
        max_retries=settings.max_retries,
    )
    transactions = TransactionSettings(
        bootstrap_servers=settings.bootstrap_servers,
        query_name=settings.resend_name,
        source_topic=settings.dead_letter_topic,
        kafka=settings.kafka,
    )
    first = settings.from_beginning
    if settings.dry_run:
        report = preview(admin, transactions, selection, correct, from_beginning=first)
        print_report(report, settings)
        return 0
    view = build_send_view(sys.stdout, settings.input_topic, total=None)
    with Interruption() as interruption:
        report = resend(
            admin,
            transactions,
            selection,
            correct,
            from_beginning=first,
            is_stopped=interruption.is_requested,
            on_part=lambda so_far: view.show(so_far.sent),
        )
    view.close(report.sent)
    print_report(report, settings)
    return ExitCode.INTERRUPTED if interruption.is_requested() else 0


def print_report(report: ResendReport, settings: ResendSettings) -> None:
    """Report what was wrong with the records, and what became of the dead letters."""
    sent = "would be sent again" if settings.dry_run else str(Outcome.SENT)
    since = f"since {settings.resend_name} read last"
    print(f"{report.read:,} dead letters in {settings.dead_letter_topic} {since}")
    numbers: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for (cause, outcome), count in report.counts.items():
        numbers[cause][outcome is not Outcome.SENT] += count
    if numbers:
        print(f"{sent:>20} | left alone | what is wrong, first of all")
    for cause, (chosen, left) in sorted(numbers.items()):
        print(f"{chosen:>20,} | {left:>10,} | {cause}")
    for outcome, count in report.outcomes.most_common():
        if outcome is not Outcome.SENT:
            print(f"{count:,} left alone: {outcome}")
    print(f"{report.sent:,} {sent} to {settings.input_topic}")
    if not settings.dry_run:
        # Kafka may forget the positions, and a person can set them again from this line.
        positions = spell_positions(report.ends)
        print(f"{settings.resend_name} has read {settings.dead_letter_topic} up to {positions}")


if __name__ == "__main__":
    sys.exit(run_job(ResendSettings, resend_dead_letters))
