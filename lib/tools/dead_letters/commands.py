"""The commands of ``jobs/dead_letters.py``, one of which is also ``jobs/resend.py``."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Callable, Generator, Iterator, Mapping
from datetime import UTC, datetime

from lib.errors import SettingsError, SourceError
from lib.exactly_once.transaction.settings import TransactionSettings
from lib.exit_codes import ExitCode
from lib.interruption import Interruption
from lib.kafka.admin import has_topic, read_offsets, refuse_missing_topics
from lib.kafka.connection.connect import connect
from lib.kafka.partitions import parse_moment, parse_partitions
from lib.kafka.reading import iter_range, iter_until_end, open_reader
from lib.messages.keys import parse_key
from lib.record.contract import Contract
from lib.settings.domain import choose_contract
from lib.settings.jobs.dead_letters import DeadLettersSettings
from lib.settings.jobs.resend import ChoiceSettings, ResendSettings
from lib.tools.dead_letters.correction import load_correction
from lib.tools.dead_letters.entry import Entry, write_json
from lib.tools.dead_letters.group import name_topic
from lib.tools.dead_letters.parts import Plan, ResendReport
from lib.tools.dead_letters.positions import spell_positions
from lib.tools.dead_letters.report import build_preview, build_result, describe_preview
from lib.tools.dead_letters.resend import preview, resend
from lib.tools.dead_letters.selection import Outcome, Selection
from lib.tools.dead_letters.showing import (
    build_line,
    build_whole,
    describe_entry,
    list_entries,
)
from lib.tools.dead_letters.statistics import (
    Statistics,
    build_statistics,
    describe_statistics,
)
from lib.tools.produce.progress import build_send_view

_HINT = "jobs/dead_letters.py list prints the places of the newest letters"

IsStopped = Callable[[], bool]
#: The lines that a command prints, and its exit code at their end.
Lines = Generator[str, None, int]


def count_letters(settings: DeadLettersSettings) -> Lines:
    """Tell how many letters broke which rule in which field.

    Raises:
        ScoringError: the topic cannot be read.
    """
    found = Statistics()
    with Interruption() as interruption:
        for entry, reason in _iter_judged(settings, interruption.is_requested):
            if entry is not None and reason is None:
                found.add(entry)
            elif reason is not None:
                found.left_out[reason] += 1
    topic = settings.dead_letter_topic
    if settings.format == "json":
        yield write_json(build_statistics(found, topic))
    else:
        yield from describe_statistics(found, topic)
    return _find_code(interruption)


def list_letters(settings: DeadLettersSettings) -> Lines:
    """Write a line for each of the newest letters.

    Raises:
        ScoringError: the topic cannot be read.
    """
    with Interruption() as interruption:
        entries = _find_newest(settings, interruption.is_requested)
    if settings.format == "json":
        yield from (write_json(build_line(entry)) for entry in entries)
    else:
        yield from list_entries(entries)
    return _find_code(interruption)


def show_letters(settings: DeadLettersSettings) -> Lines:
    """Write letters in full, with what is wrong in their records.

    Raises:
        SourceError: there is no such letter, or the topic cannot be read.
    """
    contract = _find_contract(settings)
    with Interruption() as interruption:
        if settings.places:
            entries = [_read_one(settings, *position) for position in settings.positions]
        else:
            entries = _find_newest(settings, interruption.is_requested)
    for number, entry in enumerate(entries):
        if settings.format == "json":
            yield write_json(build_whole(entry, contract))
        else:
            yield from [""] if number else []
            yield from describe_entry(entry, contract)
    if not entries and settings.format == "text":
        yield f"none of the dead letters in {settings.dead_letter_topic} is chosen"
    return _find_code(interruption)


def resend_letters(settings: ResendSettings) -> Lines:
    """Say what would be sent and, unless that is all that is asked for, send it.

    Raises:
        ScoringError: settings, topics or the correction cannot be used.
    """
    is_json = isinstance(settings, DeadLettersSettings) and settings.format == "json"
    plan = Plan(
        _build_selection(settings),
        settings.max_retries,
        None if settings.correction is None else load_correction(settings.correction),
    )
    cluster, topics = settings.cluster, (settings.dead_letter_topic, settings.input_topic)
    admin = connect(cluster)
    missing = [topic for topic in topics if not has_topic(admin, topic)]
    refuse_missing_topics(cluster, missing, may_be_hidden=cluster.signs_in)
    group = TransactionSettings(
        bootstrap_servers=settings.bootstrap_servers,
        query_name=settings.resend_name,
        source_topic=settings.dead_letter_topic,
        kafka=settings.kafka,
    )
    first = settings.from_beginning
    contract = _find_contract(settings)
    with Interruption() as interruption:
        expected = preview(
            admin,
            group,
            plan,
            contract=contract,
            from_beginning=first,
            waits=settings.dry_run,
            is_stopped=interruption.is_requested,
        )
        yield from _describe_preview(expected, settings, contract, is_json=is_json)
        if settings.dry_run or interruption.is_requested():
            return _find_code(interruption)
        view = build_send_view(sys.stderr if is_json else sys.stdout, topics[1], total=None)
        report = resend(
            admin,
            group,
            plan,
            from_beginning=first,
            is_stopped=interruption.is_requested,
            on_part=lambda so_far: view.show(so_far.sent),
        )
    view.close(report.sent)
    yield from _describe_result(report, settings, is_json=is_json)
    return _find_code(interruption)


#: Command → what carries it out.
COMMANDS: Mapping[str, Callable[[DeadLettersSettings], Lines]] = {
    "stats": count_letters,
    "list": list_letters,
    "show": show_letters,
    "resend": resend_letters,
}


def _build_selection(settings: ChoiceSettings) -> Selection:
    now = datetime.now(UTC)
    since, until = settings.since, settings.until
    return Selection(
        source_topic=settings.input_topic,
        error_types=settings.error_type,
        rules=settings.rule,
        fields=settings.field,
        keys=frozenset().union(*map(parse_key, settings.key)),
        partitions=parse_partitions(settings.source_partitions),
        since=parse_moment(since, now) if since else None,
        until=parse_moment(until, now) if until else None,
    )


def _iter_judged(
    settings: ChoiceSettings, is_stopped: IsStopped
) -> Iterator[tuple[Entry | None, Outcome | None]]:
    """Yield each message as a letter, None if it is none, and why it is not chosen."""
    topic, selection = settings.dead_letter_topic, _build_selection(settings)
    connect(settings.cluster)  # this reports errors of brokers and login
    with name_topic(topic), open_reader(settings.cluster, [topic]) as reader:
        for message in iter_until_end(reader, is_stopped):
            try:
                entry = Entry.from_message(message)
            except ValueError:
                yield None, Outcome.UNREADABLE
            else:
                yield entry, selection.find_reason(entry)


def _find_newest(settings: DeadLettersSettings, is_stopped: IsStopped) -> list[Entry]:
    """Find the newest chosen letters of all partitions, the oldest of them first."""
    judged = _iter_judged(settings, is_stopped)
    chosen = (entry for entry, reason in judged if entry is not None and reason is None)
    return heapq.nlargest(settings.limit, chosen, key=lambda entry: entry.order)[::-1]


def _read_one(settings: DeadLettersSettings, partition: int, offset: int) -> Entry:
    """Read the letter at a place, whether or not it would be chosen.

    Raises:
        SourceError: there is no letter.
    """
    topic, cluster = settings.dead_letter_topic, settings.cluster
    place = f"{topic} {partition}@{offset}"
    admin = connect(cluster)
    refuse_missing_topics(
        cluster, [] if has_topic(admin, topic) else [topic], may_be_hidden=cluster.signs_in
    )
    with name_topic(topic):
        oldest = read_offsets(admin, topic, "earliest").get(partition)
        end = read_offsets(admin, topic, "latest").get(partition)
        if oldest is None or end is None:
            raise SourceError(f"{place}: the topic has no such partition", hint=_HINT)
        if not oldest <= offset < end:
            raise SourceError(
                f"{place}: no such offset, found {oldest} to {end} (excluded)", hint=_HINT
            )
        message = next(iter_range(cluster, topic, partition, offset, offset + 1), None)
    if message is None:
        raise SourceError(f"{place}: a transaction's marker, and no letter", hint=_HINT)
    try:
        return Entry.from_message(message)
    except ValueError as error:
        raise SourceError(f"{place}: {error}", hint=_HINT) from error


def _find_contract(settings: ChoiceSettings) -> Contract | None:
    """Find the contract of the records; None if none is named and several could be meant.

    Raises:
        ContractError: the file that is named cannot be read.
    """
    if settings.contract is not None:
        return choose_contract(settings.contract)
    try:
        return choose_contract(None)
    except SettingsError:
        return None


def _describe_preview(
    report: ResendReport, settings: ResendSettings, contract: Contract | None, *, is_json: bool
) -> Iterator[str]:
    name = None if contract is None else contract.name
    if is_json:
        yield write_json(build_preview(report, name))
        return
    yield from describe_preview(
        report,
        letters=settings.dead_letter_topic,
        name=settings.resend_name,
        topic=settings.input_topic,
        contract=name,
    )


def _describe_result(
    report: ResendReport, settings: ResendSettings, *, is_json: bool
) -> Iterator[str]:
    if is_json:
        yield write_json(build_result(report))
        return
    yield f"{report.sent:,} {Outcome.SENT} to {settings.input_topic}"
    # Kafka may forget the positions, and a person can set them again from this line.
    positions = spell_positions(report.ends)
    yield f"{settings.resend_name} has read {settings.dead_letter_topic} up to {positions}"


def _find_code(interruption: Interruption) -> int:
    return ExitCode.INTERRUPTED if interruption.is_requested() else ExitCode.DONE
