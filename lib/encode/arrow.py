"""Encodes batches of scored records as Kafka messages in Python workers.

The messages are those of ``spark.py``: every test of ``tests/stream/test_plan.py`` runs on both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lib.decode.engines.arrow import DecodedBatch
from lib.encode.bins import bin_batch
from lib.encode.reasons import ReasonWriter
from lib.messages import dead_letter as messages
from lib.messages.columns import BINNED_SCHEMA, COUNTED_SCHEMA, HEADERS_ARROW, MESSAGE_SCHEMA
from lib.messages.dead_letter import STAGE_OF, DeadLetterFormat, ErrorType, MessageSettings
from lib.messages.effects import Reasons
from lib.messages.framing import find_framing
from lib.messages.header_names import is_ours
from lib.messages.header_text import Header, parse_chosen, parse_headers
from lib.messages.tally import NO_PROBABILITY, spell_prediction, spell_rejection
from lib.record.contract import Contract
from lib.record.prediction import (
    LAST_MICROSECOND,
    MILLION,
    Part,
    are_positive,
    count_millionths,
    list_fields,
)
from lib.record.violations import RECORD_RULES, Violation

#: Part of a prediction → its JSON for each valid record, or one text for all of them.
Parts = Mapping[Part, pa.StringArray | str]

_TO_ESCAPE = r'["\\\x00-\x1f]'
_INTEGER = re.compile(r"\s*[+-]?\d{1,10}\s*", re.ASCII)


def encode_batch(
    records: pa.RecordBatch,
    decoded: DecodedBatch,
    probabilities: npt.NDArray[np.float64],
    settings: MessageSettings,
    now: datetime,
    failures: Mapping[int, str] | None = None,
    parts: Parts | None = None,
) -> pa.RecordBatch:
    """Encode exactly one message for each record, in their order.

    Args:
        records: n rows with the columns of ``lib.messages.columns.SOURCE_COLUMNS``; the
            headers are text, see ``lib.messages.header_text``.
        decoded: the decoded values of the records.
        probabilities: the probabilities of the m valid records, float64 [m]; NaN where the model
            failed.
        settings: the topics, the format and the model.
        now: the time of scoring, with a time zone.
        failures: position among the m valid records → why the model failed, for those dead letters
            that shall say it.
        parts: the result of :func:`list_record_parts`; None to make it here.

    Returns:
        The messages: [n_rows] of :data:`MESSAGE_SCHEMA`, or of :data:`COUNTED_SCHEMA` or
        :data:`BINNED_SCHEMA` if the settings say that they are counted or put into bins.
    """
    is_scored = (probabilities >= 0) & (probabilities <= 1)
    rank = np.full(records.num_rows, -1, dtype=np.int64)
    rank[decoded.valid] = np.where(is_scored, np.arange(len(probabilities)), -1)
    parts = list_record_parts(records, decoded, now) if parts is None else parts
    own = list_model_parts(decoded, probabilities, settings)
    values = join_parts(settings.contract, {**parts, **own})
    failed = np.flatnonzero(rank < 0).tolist()
    output = settings.output
    topics: pa.Array = pa.repeat(output.output_topic, records.num_rows)
    headers = parse_chosen(records["source_headers"], output.carried_headers)
    if failed:
        positions = np.flatnonzero(decoded.valid)
        reasons = {int(positions[place]): text for place, text in (failures or {}).items()}
        letters = [
            _encode_dead_letter(
                *(records, position, decoded.violations.get(position, ())),
                *(reasons.get(position), settings, now),
            )
            for position in failed
        ]
        # Predictions come first and dead letters behind them; then each gets its place.
        place = rank.copy()
        place[failed] = len(probabilities) + np.arange(len(failed))
        dead_values = pa.array([value for value, _ in letters], pa.binary())
        values = pa.concat_arrays([values, dead_values]).take(pa.array(place))
        is_dead = pa.array(rank < 0)
        topics = pc.if_else(is_dead, output.dead_letter_topic, output.output_topic)
        if output.dead_letter_format is DeadLetterFormat.HEADERS:
            headers |= zip(failed, (own for _, own in letters), strict=True)
    columns = [topics, records["source_key"], values, list_headers(headers, records.num_rows)]
    columns += [records[name] for name in ("source_topic", "source_partition", "source_offset")]
    if not output.is_counted:
        return pa.RecordBatch.from_arrays(columns, schema=MESSAGE_SCHEMA)
    labels = settings.contract.positive_label, settings.contract.negative_label
    spelled = (spell_prediction(settings.model_version, label) for label in labels)
    outcomes = choose_label(probabilities, settings, *spelled)
    event_times = _read_times(decoded.event_times)
    if failed:
        rejections = [_name_rejection(decoded.violations.get(position, ())) for position in failed]
        outcomes = pa.concat_arrays([outcomes, pa.array(rejections)]).take(pa.array(place))
        no_times = pa.nulls(len(failed), pa.int64())
        event_times = pa.concat_arrays([event_times, no_times]).take(pa.array(place))
    columns += [outcomes, _read_record_times(records), event_times]
    if output.binning is None:
        return pa.RecordBatch.from_arrays(columns, schema=COUNTED_SCHEMA)
    model = settings.model_version
    columns.append(bin_batch(records, decoded, probabilities, rank, output.binning, model))
    return pa.RecordBatch.from_arrays(columns, schema=BINNED_SCHEMA)


def list_headers(headers: Mapping[int, list[Header]], count: int) -> pa.Array:
    """List the headers of each row: [count] of HEADERS_ARROW, null where there are none."""
    if not headers:
        return pa.nulls(count, HEADERS_ARROW)
    return pa.array([headers.get(row) for row in range(count)], HEADERS_ARROW)


def list_record_parts(records: pa.RecordBatch, decoded: DecodedBatch, now: datetime) -> Parts:
    """List the parts of predictions that every model has in common: [m], or one text for all.

    The arguments are those of :func:`encode_batch`.
    """
    return {
        Part.IDENTIFIER: _quote(decoded.identifiers),
        Part.EVENT_TIME: _find_event_times(records, decoded),
        Part.PROCESSED: _json_text(_iso_utc(now)),
    }


def list_model_parts(
    decoded: DecodedBatch, probabilities: npt.NDArray[np.float64], settings: MessageSettings
) -> Parts:
    """List the other parts of predictions, which a model's scores make: [m], or one text for all.

    The arguments are those of :func:`encode_batch`.
    """
    contract = settings.contract
    parts: dict[Part, pa.StringArray | str] = {
        Part.PROBABILITY: _format_probabilities(probabilities),
        Part.LABEL: choose_label(
            probabilities,
            settings,
            _json_text(contract.positive_label),
            _json_text(contract.negative_label),
        ),
        Part.MODEL: _json_text(settings.model_version),
    }
    if settings.output.reasons is not None:
        writer = _open_writer(settings.output.reasons, contract)
        parts[Part.REASONS] = writer.write(decoded.features)
    return parts


def join_parts(contract: Contract, parts: Parts) -> pa.BinaryArray:
    """Join the fields in :mod:`lib.record.prediction` of each valid record to JSON: [m]."""
    return pc.binary_join_element_wise(*_join(contract, parts), "").cast(pa.binary())


@lru_cache(maxsize=4)
def _open_writer(reasons: Reasons, contract: Contract) -> ReasonWriter:
    return ReasonWriter(reasons, contract)


def _join(contract: Contract, parts: Parts) -> Iterator[pa.StringArray | str]:
    """Join the pieces of the JSON objects; neighbouring constants become one piece."""
    constant = "{"
    fields = list_fields(
        contract, reasons=Part.REASONS in parts, shadow_error=Part.SHADOW_ERROR in parts
    )
    for position, field in enumerate(fields):
        name, part = _json_text(field.name), parts[field.part]
        start = f"{',' if position else ''}{name}:"
        if isinstance(part, str):
            constant += start + part
        elif field.is_optional and part.null_count:
            yield constant
            yield pc.fill_null(pc.binary_join_element_wise(start, part, ""), "")
            constant = ""
        else:
            yield constant + start
            yield part
            constant = ""
    yield constant + "}"


def _format_probabilities(probabilities: npt.NDArray[np.float64]) -> pa.StringArray:
    """Format with six decimals and no exponent: 0.000010."""
    millionths = count_millionths(probabilities)
    # The leading 1 keeps the zeros: 1000010 for 0.000010.
    digits = pa.array(MILLION + millionths % MILLION).cast(pa.string())
    whole = pa.array(millionths // MILLION).cast(pa.string())
    return pc.binary_join_element_wise(whole, pc.utf8_slice_codeunits(digits, 1), ".")


def choose_label(
    probabilities: npt.NDArray[np.float64], settings: MessageSettings, positive: str, negative: str
) -> pa.StringArray:
    """Choose one of two texts by the label of each valid record: [m]."""
    is_positive = pa.array(are_positive(probabilities, settings.threshold))
    return pc.if_else(is_positive, positive, negative)


def _find_kafka_times(times: pa.TimestampArray) -> pa.TimestampArray:
    """Find the timestamps of records in milliseconds; null for one that is no time."""
    micros = times.cast(pa.int64())
    is_time = pc.and_(pc.greater_equal(micros, 0), pc.less_equal(micros, LAST_MICROSECOND))
    return pc.if_else(is_time, times, None).cast(pa.timestamp("ms"), safe=False)


def _read_record_times(records: pa.RecordBatch) -> pa.Int64Array:
    return _find_kafka_times(records["source_timestamp"]).cast(pa.int64())


def _read_times(texts: pa.StringArray) -> pa.Int64Array:
    """Read event times as milliseconds since 1970; null for a text that is no time."""
    try:
        micros = texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
        return pc.divide(micros, 1_000)
    except pa.ArrowInvalid:  # some have more digits, or no zone
        return pa.array([_read_time(text) for text in texts.to_pylist()], pa.int64())


def _read_time(text: str | None) -> int | None:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000)


def _name_rejection(violations: Sequence[Violation]) -> str:
    if not violations:
        return spell_rejection(NO_PROBABILITY, "")
    return spell_rejection(violations[0].rule, violations[0].field)


def _find_event_times(records: pa.RecordBatch, decoded: DecodedBatch) -> pa.StringArray:
    """Find the event times as JSON strings; null if neither the record nor Kafka has one."""
    times = decoded.event_times
    if times.null_count:
        kafka = _find_kafka_times(records["source_timestamp"].filter(pa.array(decoded.valid)))
        times = pc.coalesce(times, pc.strftime(kafka, "%Y-%m-%dT%H:%M:%SZ"))
    return _quote(times)


def _quote(texts: pa.StringArray) -> pa.StringArray:
    """Encode texts as JSON strings; null stays null."""
    if pc.any(pc.match_substring_regex(texts, _TO_ESCAPE)).as_py():
        return pa.array(
            [None if text is None else _json_text(text) for text in texts.to_pylist()], pa.string()
        )
    return pc.binary_join_element_wise('"', texts, '"', "")


def _encode_dead_letter(
    records: pa.RecordBatch,
    position: int,
    violations: Sequence[Violation],
    reason: str | None,
    settings: MessageSettings,
    now: datetime,
) -> tuple[bytes | None, list[Header]]:
    """Encode value and headers of one dead letter; an envelope has no headers about the error."""
    value: bytes | None = records["source_value"][position].as_py()
    own = parse_headers(records["source_headers"][position].as_py())
    error = _find_error(violations)
    message = _describe_all(violations, reason, value, settings.contract)
    listed = [violation.to_dict() for violation in violations]
    topic: str = records["source_topic"][position].as_py()
    retries = _count_retries(own)
    if settings.output.dead_letter_format is DeadLetterFormat.ENVELOPE:
        text, form = messages.write_original(value)
        envelope = {
            "original_message": text,
            "original_encoding": form,
            "error_type": str(error),
            "error_message": message,
            "validation_errors": listed,
            "source_topic": topic,
            "failed_ts": _iso_utc(now),
            "consumer_group": settings.output.consumer_group,
            "retry_count": retries,
        }
        return _json_text(envelope).encode(), []
    added = {
        messages.HEADER_TOPIC: topic,
        messages.HEADER_PARTITION: str(records["source_partition"][position]),
        messages.HEADER_OFFSET: str(records["source_offset"][position]),
        messages.HEADER_STAGE: str(STAGE_OF[error]),
        messages.HEADER_CLASS: str(error),
        messages.HEADER_MESSAGE: message,
        messages.HEADER_VIOLATIONS: _json_text(listed),
        messages.HEADER_RETRY_COUNT: str(retries),
        messages.HEADER_FAILED_TS: _iso_utc(now),
    }
    kept = [(name, content) for name, content in own if not is_ours(name)]
    return value, kept + [(name, text.encode()) for name, text in added.items()]


def _find_error(violations: Sequence[Violation]) -> ErrorType:
    if not violations:
        return ErrorType.INFERENCE
    is_whole = violations[0].rule in RECORD_RULES
    return ErrorType.PROCESSING if is_whole else ErrorType.VALIDATION


def _describe_all(
    violations: Sequence[Violation], reason: str | None, value: bytes | None, contract: Contract
) -> str:
    if not violations:
        return messages.NO_PROBABILITY + (f": {reason}" if reason else "")
    framing = find_framing(value, contract)
    return "; ".join([*map(_describe, violations), *([framing.hint] if framing else ())])


def _describe(violation: Violation) -> str:
    return (
        f"{violation.field or 'record'} {violation.rule}: found {violation.found},"
        f" expected {violation.expected}"
    )


def _count_retries(own: Iterable[Header]) -> int:
    """Read the count from the last header of that name; 0 if it holds no 32-bit integer."""
    found = [content for name, content in own if name == messages.HEADER_RETRY_COUNT]
    text = (found[-1] if found else None) or b""
    if _INTEGER.fullmatch(text.decode(errors="replace")) is None:
        return 0
    number = int(text)
    return number if -(2**31) <= number < 2**31 else 0


def _json_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _iso_utc(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1_000:03d}Z"
