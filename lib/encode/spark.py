"""Encodes scored rows as Kafka messages with Spark expressions; see ``lib/messages``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lib.encode.bins_expr import bins_expr
from lib.encode.reasons_expr import reasons_expr
from lib.messages import dead_letter as messages
from lib.messages.columns import BINS, EVENT_TIME, HEADERS_TYPE, OUTCOME, RECORD_TIME
from lib.messages.dead_letter import (
    STAGE_OF,
    DeadLetterFormat,
    ErrorType,
    MessageSettings,
    OutputSettings,
)
from lib.messages.framing import HEAD_BYTES, list_framings
from lib.messages.header_names import CONNECT_PREFIX, SCORING_PREFIX
from lib.messages.tally import NO_PROBABILITY, spell_prediction, spell_rejection
from lib.record.checks import anchor
from lib.record.contract import Contract
from lib.record.prediction import FIXED_NAMES, LAST_MICROSECOND, MILLION, Part, list_fields
from lib.record.violations import RECORD_RULES
from lib.spark.quoting import quote

_ISO_UTC = "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"


#: The column that tells whether a challenger has scored a row.
IS_CHALLENGERS = "is_challengers"

# A function that builds a column from the settings of a model.
_Make = Callable[[MessageSettings], Column]


def encode_messages(
    scored: DataFrame, settings: MessageSettings, challenger: MessageSettings | None = None
) -> DataFrame:
    """Encode exactly one message for each row: a prediction, or a dead letter.

    Args:
        scored: the columns of ``decode_records`` and ``probability`` (double; null or NaN where
            the model failed); with a challenger also :data:`IS_CHALLENGERS`.
        settings: the topics, the format and the model.
        challenger: the settings with the challenger's model; None without one.

    Returns:
        The messages, with the columns of :data:`lib.messages.columns.MESSAGE_SCHEMA`, or of
        ``COUNTED_SCHEMA`` or ``BINNED_SCHEMA`` if the settings say that they are counted or put
        into bins.
    """
    output = settings.output
    is_scored = (F.size("violations") == 0) & F.coalesce(
        F.col("probability").between(0.0, 1.0), F.lit(False)
    )
    rows = scored.withColumn("is_scored", is_scored)
    is_prediction = F.col("is_scored")

    def by_model(make: _Make) -> Column:
        if challenger is None:
            return make(settings)
        return F.when(F.col(IS_CHALLENGERS), make(challenger)).otherwise(make(settings))

    prediction = by_model(prediction_expr)
    error, message = error_type_expr(), error_message_expr(settings.contract)
    carried = carried_headers_expr(output.carried_headers)
    if output.dead_letter_format is DeadLetterFormat.HEADERS:
        dead_value, dead_headers = F.col("source_value"), dead_letter_headers_expr(error, message)
        headers = F.when(is_prediction, carried).otherwise(dead_headers)
    else:
        dead_value, headers = envelope_expr(error, message, output), carried
    value = F.when(is_prediction, prediction.cast("binary")).otherwise(dead_value)
    topic = F.when(is_prediction, output.output_topic).otherwise(output.dead_letter_topic)
    outcome = by_model(outcome_expr)
    counts = list(tally_exprs(settings, outcome, is_prediction)) if output.is_counted else []
    if output.is_counted and output.binning is not None:
        is_binned = is_prediction
        if challenger is not None:
            is_binned &= ~F.col(IS_CHALLENGERS)
        bins = bins_expr(output.binning, settings.model_version, is_binned)
        counts.append(bins.alias(BINS))
    return rows.select(
        topic.alias("topic"),
        F.col("source_key").alias("key"),
        value.alias("value"),
        headers.cast(HEADERS_TYPE).alias("headers"),
        "source_topic",
        "source_partition",
        "source_offset",
        *counts,
    )


def outcome_expr(settings: MessageSettings) -> Column:
    """Build the outcome of a prediction; see :mod:`lib.messages.tally`."""
    labels = settings.contract.positive_label, settings.contract.negative_label
    return choice_expr(
        settings, *(spell_prediction(settings.model_version, label) for label in labels)
    )


def tally_exprs(
    settings: MessageSettings, prediction: Column, is_prediction: Column
) -> Iterator[Column]:
    """Build the columns by which messages are counted; see :mod:`lib.messages.tally`."""
    first = F.try_element_at(F.col("violations"), F.lit(1))
    rejection = F.concat_ws(":", first.getField("rule"), first.getField("field"))
    no_probability = F.lit(spell_rejection(NO_PROBABILITY, ""))
    reason = F.when(F.size("violations") == 0, no_probability).otherwise(rejection)
    yield F.when(is_prediction, prediction).otherwise(reason).alias(OUTCOME)
    yield F.unix_millis(kafka_time_expr()).alias(RECORD_TIME)
    time = settings.contract.event_time
    event_time = F.lit(None).cast("timestamp")
    if time is not None:
        event_time = F.when(is_prediction, F.try_to_timestamp(F.col(quote(time.name))))
    yield F.unix_millis(event_time).alias(EVENT_TIME)


def millionths_expr() -> Column:
    """Build what :func:`lib.record.prediction.count_millionths` computes, by a million."""
    return F.floor(F.col("probability") * MILLION + 0.5) / MILLION


def label_expr(settings: MessageSettings) -> Column:
    """Build the label that the rounded probability stands for."""
    contract = settings.contract
    return choice_expr(settings, contract.positive_label, contract.negative_label)


def choice_expr(settings: MessageSettings, positive: str, negative: str) -> Column:
    """Build one of two texts, by the label that the rounded probability stands for."""
    return F.when(millionths_expr() >= settings.threshold, positive).otherwise(negative)


def prediction_expr(settings: MessageSettings) -> Column:
    """Build a JSON string of the fields in :mod:`lib.record.prediction`."""
    contract = settings.contract
    kafka_time = iso_utc_expr(kafka_time_expr())
    time = contract.event_time
    parts = {
        Part.IDENTIFIER: F.col(quote(contract.identifier.name)),
        # A decimal keeps JSON free of exponents: 0.000010, not 1.0E-5.
        Part.PROBABILITY: millionths_expr().cast("decimal(7,6)"),
        Part.LABEL: label_expr(settings),
        Part.EVENT_TIME: kafka_time
        if time is None
        else F.coalesce(F.col(quote(time.name)), kafka_time),
        Part.PROCESSED: now_expr(),
        Part.MODEL: F.lit(settings.model_version),
    }
    text = F.to_json(
        F.struct(*(parts[field.part].alias(field.name) for field in list_fields(contract)))
    )
    reasons = settings.output.reasons
    if reasons is None:
        return text
    # They are JSON already, and come last.
    start = F.lit(f',"{FIXED_NAMES[Part.REASONS]}":')
    return F.concat(F.rtrim(text, F.lit("}")), start, reasons_expr(reasons, contract), F.lit("}"))


def kafka_time_expr() -> Column:
    """Build the timestamp of the record by Kafka; null for one that is no time."""
    is_time = F.unix_micros("source_timestamp").between(0, LAST_MICROSECOND)
    return F.when(is_time, F.col("source_timestamp"))


def iso_utc_expr(timestamp: Column | str) -> Column:
    """Build ISO 8601 in UTC with milliseconds, whatever the session's time zone is."""
    utc = F.to_utc_timestamp(timestamp, F.current_timezone())
    return F.date_format(utc, _ISO_UTC)


def now_expr() -> Column:
    """Build ISO 8601 in UTC: the start of the micro-batch.

    A stream puts that time into the plan as a constant, after the plan was optimised. In generated
    code it would make Spark compile each batch again. So it is in a lambda, which is evaluated
    outside of generated code.
    """
    return F.transform(F.array(F.current_timestamp()), iso_utc_expr).getItem(0)


def error_type_expr() -> Column:
    """Build the :class:`lib.messages.dead_letter.ErrorType` of a row that is no prediction."""
    rules = [str(rule) for rule in sorted(RECORD_RULES)]
    first_rule = F.try_element_at(F.col("violations"), F.lit(1)).getField("rule")
    return (
        F.when(F.size("violations") == 0, str(ErrorType.INFERENCE))
        .when(first_rule.isin(*rules), str(ErrorType.PROCESSING))
        .otherwise(str(ErrorType.VALIDATION))
    )


def error_message_expr(contract: Contract) -> Column:
    """Build one sentence that lists all violations, and the framing of the value if it has one."""

    def sentence(violation: Column) -> Column:
        subject = F.when(violation["field"] == "", "record").otherwise(violation["field"])
        return F.concat(
            *(subject, F.lit(" "), violation["rule"], F.lit(": found ")),
            *(violation["found"], F.lit(", expected "), violation["expected"]),
        )

    no_probability = F.lit(messages.NO_PROBABILITY)
    listed = F.array_join(F.transform("violations", sentence), "; ")
    explained = F.concat_ws("; ", listed, hint_expr(contract))
    return F.when(F.size("violations") == 0, no_probability).otherwise(explained)


def hint_expr(contract: Contract) -> Column:
    """Build what :func:`lib.messages.framing.find_framing` finds as text; null for nothing."""
    head = F.decode(F.substring("source_value", 1, HEAD_BYTES), "ISO-8859-1")
    # One lambda over a constant keeps the plan small.
    known = F.array(
        *(
            F.struct(F.lit(anchor(it.pattern)).alias("pattern"), F.lit(it.hint).alias("hint"))
            for it in list_framings(contract)
        )
    )
    found = F.filter(known, lambda it: F.rlike(head, it["pattern"]))
    return F.try_element_at(found, F.lit(1))["hint"]


def retry_count_expr() -> Column:
    """Build the number of times that the record was sent again, from its header."""
    header = F.filter("source_headers", lambda h: h["key"] == messages.HEADER_RETRY_COUNT)
    text = F.try_element_at(header, F.lit(-1)).getField("value").cast("string")
    return F.coalesce(text.try_cast("int"), F.lit(0))


def carried_headers_expr(names: Sequence[str]) -> Column:
    """Build those of the record's headers that have one of the names; null if it has none."""

    def is_carried(header: Column) -> Column:
        return header["key"].isin(*names)

    return F.when(F.exists("source_headers", is_carried), F.filter("source_headers", is_carried))


def dead_letter_headers_expr(error_type: Column, message: Column) -> Column:
    """Build the headers: the record's own, then the error, which replaces an earlier one."""
    stage = F.create_map(*(F.lit(str(part)) for pair in STAGE_OF.items() for part in pair))
    error_headers = {
        messages.HEADER_TOPIC: F.col("source_topic"),
        messages.HEADER_PARTITION: F.col("source_partition").cast("string"),
        messages.HEADER_OFFSET: F.col("source_offset").cast("string"),
        messages.HEADER_STAGE: F.try_element_at(stage, error_type),
        messages.HEADER_CLASS: error_type,
        messages.HEADER_MESSAGE: message,
        messages.HEADER_VIOLATIONS: F.to_json("violations"),
        messages.HEADER_RETRY_COUNT: retry_count_expr().cast("string"),
        messages.HEADER_FAILED_TS: now_expr(),
    }
    added = F.array(
        *(
            F.struct(F.lit(name).alias("key"), content.cast("binary").alias("value"))
            for name, content in error_headers.items()
        )
    ).cast(HEADERS_TYPE)

    def is_foreign(header: Column) -> Column:
        return ~(
            F.startswith(header["key"], F.lit(CONNECT_PREFIX))
            | F.startswith(header["key"], F.lit(SCORING_PREFIX))
        )

    kept = F.filter(F.coalesce("source_headers", F.array().cast(HEADERS_TYPE)), is_foreign)
    return F.concat(kept, added)


def envelope_expr(error_type: Column, message: Column, output: OutputSettings) -> Column:
    """Build a binary: the JSON envelope; bytes that are no UTF-8 are kept as base64."""
    text = F.col("source_value").cast("string")
    is_text = F.is_valid_utf8(text)
    envelope = F.struct(
        F.when(is_text, text).otherwise(F.base64("source_value")).alias("original_message"),
        F.when(is_text, "utf-8").when(~is_text, "base64").alias("original_encoding"),
        error_type.alias("error_type"),
        message.alias("error_message"),
        F.col("violations").alias("validation_errors"),
        F.col("source_topic"),
        now_expr().alias("failed_ts"),
        F.lit(output.consumer_group).alias("consumer_group"),
        retry_count_expr().alias("retry_count"),
    )
    return F.to_json(envelope, {"ignoreNullFields": "false"}).cast("binary")
