"""The plan, run in batch mode, gives each record's message."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from chispa import assert_df_equality

from lib.drift.bins import BinKind, Bins
from lib.drift.profile import SCORE, Binning, Profile
from lib.messages.dead_letter import DeadLetter, DeadLetterFormat, ErrorType
from lib.messages.framing import FRAMINGS
from lib.messages.header_names import TRACE_HEADERS
from lib.record.prediction import Prediction
from lib.stream.route import Route
from tests.decode.test_decoders_agree import RECORDS_TYPE
from tests.hostile.mutations import mutate_value
from tests.messages.test_framing import FRAMED
from tests.support.records import BROKEN, VALID, record, record_with_raw
from tests.support.same_answers import list_messages
from tests.support.telco import CUSTOMER
from tests.support.worker_scorers import FunctionScorer

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from lib.score.scorer import BatchScorer

KAFKA_TIME = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@dataclass(frozen=True)
class Formula:
    """A scorer with probabilities that a test can compute: MonthlyCharges / 1000."""

    threshold: float = 0.5
    scored_by: str = "formula@1/sql"

    def with_probability(self, frame: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        # A tenure of 99 stands for a record on which the model fails.
        probability = F.when(F.col("tenure") != 99, F.col("MonthlyCharges") / 1000)
        return frame.withColumn("probability", probability)

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        raise AssertionError("it scores in the JVM")


@dataclass(frozen=True)
class FormulaInWorkers(Formula):
    """The same scorer, in Python workers."""

    def build_batch_scorer(self, session: SparkSession) -> BatchScorer:
        return FunctionScorer(compute_formula)


def compute_formula(features: Mapping[str, Any]) -> Any:
    return np.where(features["tenure"] != 99, features["MonthlyCharges"] / 1000, np.nan)


def build_records(
    spark: SparkSession, values: Sequence[bytes | None], headers: Any = None
) -> DataFrame:
    rows = [
        (f"key-{offset}".encode(), value, headers, "in", 3, offset, KAFKA_TIME)
        for offset, value in enumerate(values)
    ]
    return spark.createDataFrame(rows, RECORDS_TYPE)


Run = Callable[..., list[Any]]
IN_JVM = Route("jvm", "jvm", "driver", "")
DECODED_IN_WORKERS = Route("workers", "jvm", "driver", "")
IN_WORKERS = Route("workers", "workers", "driver", "")


@pytest.fixture(
    scope="module",
    params=[(Formula, IN_JVM), (Formula, DECODED_IN_WORKERS), (FormulaInWorkers, IN_WORKERS)],
    ids=["JVM", "decoded in workers", "workers"],
)
def run(spark: SparkSession, request: pytest.FixtureRequest) -> Run:
    """Return a function from values to messages, by the plan of the JVM, workers, or both."""
    from lib.messages.dead_letter import OutputSettings
    from lib.stream.plan import score_records

    def run_plan(
        values: Sequence[bytes | None],
        *,
        headers: Any = None,
        carried: Sequence[str] = (),
        dead_letter_format: DeadLetterFormat = DeadLetterFormat.HEADERS,
        threshold: float = 0.5,
        kafka_micros: Sequence[int | None] | None = None,
        is_counted: bool = False,
        profile: Profile | None = None,
    ) -> list[Any]:
        from pyspark.sql import functions as F

        names = (*TRACE_HEADERS, *carried)
        binning = None if profile is None else Binning(1, "formula@1/sql", profile)
        output = OutputSettings(
            *("out", "dead", "query", dead_letter_format),
            is_counted=is_counted,
            carried_headers=names,
            binning=binning,
        )
        records = build_records(spark, values, headers)
        if kafka_micros is not None:
            each = F.array(*map(F.lit, kafka_micros))[F.col("source_offset").cast("int")]
            records = records.withColumn("source_timestamp", F.timestamp_micros(each))
        scorer, route = request.param[0](threshold), request.param[1]
        messages = score_records(records, scorer, CUSTOMER, output, route)
        return messages.orderBy("source_offset").collect()

    return run_plan


def read_dead_letter(row: Any) -> DeadLetter:
    headers = [(header.key, bytes(header.value)) for header in row.headers or ()]
    value = None if row.value is None else bytes(row.value)
    return DeadLetter.from_message(bytes(row.key), value, headers)


def test_a_valid_record_becomes_a_prediction(run: Run) -> None:
    before = datetime.now(UTC)
    (row,) = run([record(MonthlyCharges=612.3456789)])

    assert row.topic == "out"
    assert bytes(row.key) == b"key-0"
    assert row.headers is None
    assert (row.source_topic, row.source_partition, row.source_offset) == ("in", 3, 0)
    prediction = Prediction.from_value(row.value, CUSTOMER)
    assert prediction.identifier == "7590-VHVEG"
    assert prediction.probability == 0.612346
    assert prediction.label == "Yes"
    assert prediction.model == "formula@1/sql"
    processed = datetime.fromisoformat(prediction.processed)
    assert abs((processed - before).total_seconds()) < 60


def test_probabilities_have_six_decimals_and_no_exponent(run: Run) -> None:
    # The plans have to round the last one alike, which is half a millionth in decimals only.
    rows = run([record(MonthlyCharges=charges) for charges in (0, 0.01, 1000, 250, 0.5045)])

    written = [re.search(r'"churn_probability":([^,]+),', row.value.decode()) for row in rows]
    assert [match and match[1] for match in written] == [
        *("0.000000", "0.000010", "1.000000", "0.250000", "0.000504")
    ]


def test_the_label_follows_from_the_probability_that_is_printed(run: Run) -> None:
    charges = (330, 329.9996, 330.0004, 329.9994, 0)
    answers = {
        threshold: [
            (prediction.probability, prediction.label)
            for row in run([record(MonthlyCharges=it) for it in charges], threshold=threshold)
            for prediction in [Prediction.from_value(row.value, CUSTOMER)]
        ]
        for threshold in (0.33, 0.3300001)
    }

    assert answers[0.33] == [
        *((0.33, "Yes"), (0.33, "Yes"), (0.33, "Yes"), (0.329999, "No"), (0.0, "No")),
    ]
    assert answers[0.3300001] == [
        *((0.33, "No"), (0.33, "No"), (0.33, "No"), (0.329999, "No"), (0.0, "No")),
    ]


def test_event_time_is_copied_and_else_the_kafka_timestamp(run: Run) -> None:
    rows = run([record(event_ts="2025-12-31T23:59:59+01:00"), record()])

    assert [Prediction.from_value(row.value, CUSTOMER).event_time for row in rows] == [
        "2025-12-31T23:59:59+01:00",
        "2026-01-02T03:04:05.678Z",
    ]


# Microseconds since 1970, as Spark holds a Kafka timestamp → the event time of the prediction.
KAFKA_TIMES = [
    (0, "1970-01-01T00:00:00.000Z"),
    (1_767_323_045_678_000, "2026-01-02T03:04:05.678Z"),
    (253_402_300_799_999_000, "9999-12-31T23:59:59.999Z"),
    (None, None),
    (-1_000, None),  # Kafka's word for no timestamp
    (-1_767_323_045_678_000, None),
    (253_402_300_800_000_000, None),  # the year 10000
    (1_767_323_045_678_901_000, None),  # a producer wrote microseconds
    (9_223_372_036_854_775_000, None),
    (-9_223_372_036_854_775_000, None),
]


def test_a_kafka_timestamp_that_is_no_time_is_absent(run: Run) -> None:
    rows = run([record()] * len(KAFKA_TIMES), kafka_micros=[micros for micros, _ in KAFKA_TIMES])

    assert [json.loads(row.value).get("event_ts", "absent") for row in rows] == [
        "absent" if text is None else text for _, text in KAFKA_TIMES
    ]
    own = run([record(event_ts="2026-01-02T03:04:05Z")], kafka_micros=[-1_000])
    assert json.loads(own[0].value)["event_ts"] == "2026-01-02T03:04:05Z"


def test_times_are_utc_whatever_the_sessions_time_zone(spark: SparkSession, run: Run) -> None:
    spark.conf.set("spark.sql.session.timeZone", "Asia/Tokyo")
    try:
        (row,) = run([record()])
    finally:
        spark.conf.set("spark.sql.session.timeZone", "UTC")

    assert Prediction.from_value(row.value, CUSTOMER).event_time == "2026-01-02T03:04:05.678Z"


@pytest.fixture(scope="module")
def broken_rows(run: Run) -> dict[str, Any]:
    """Return the rows of all broken records, from one run, because planning costs most."""
    return dict(zip(BROKEN, run([value for value, _ in BROKEN.values()]), strict=True))


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_record_becomes_a_dead_letter_with_its_bytes(
    broken_rows: dict[str, Any], case: str
) -> None:
    value, violations = BROKEN[case]
    row = broken_rows[case]

    letter = read_dead_letter(row)
    offset = list(BROKEN).index(case)
    assert row.topic == "dead"
    assert (letter.key, letter.value) == (f"key-{offset}".encode(), value)
    assert [(v.field, str(v.rule)) for v in letter.violations] == violations
    assert (letter.source_topic, letter.source_partition, letter.source_offset) == ("in", 3, offset)
    is_whole = violations[0][0] == ""
    assert letter.error_type is (ErrorType.PROCESSING if is_whole else ErrorType.VALIDATION)


def test_envelopes_carry_text_bytes_and_tombstones(run: Run) -> None:
    values = [b"hello", b"\xff\xfe", None, record(tenure=-1)]

    rows = run(values, dead_letter_format=DeadLetterFormat.ENVELOPE)

    assert [read_dead_letter(row).value for row in rows] == values
    envelope = json.loads(rows[3].value)
    assert list(envelope) == [
        *("original_message", "original_encoding", "error_type", "error_message"),
        *("validation_errors", "source_topic", "failed_ts", "consumer_group", "retry_count"),
    ]
    assert envelope["error_type"] == "validation_error"
    assert envelope["error_message"] == (
        "tenure out_of_range: found -1, expected an integer from 0 to 120"
    )
    assert envelope["consumer_group"] == "query"
    assert json.loads(rows[1].value)["original_message"] == base64.b64encode(b"\xff\xfe").decode()
    assert all(row.headers is None for row in rows)


def test_a_valid_record_without_a_probability_is_an_inference_error(run: Run) -> None:
    value = record(tenure=99)
    (row,) = run([value])

    letter = read_dead_letter(row)
    assert letter.error_type is ErrorType.INFERENCE
    assert letter.value == value
    assert letter.violations == ()
    assert "gave no probability" in letter.message


def test_own_headers_are_kept_and_an_earlier_error_is_replaced(run: Run) -> None:
    headers = [
        ("trace", b"\x01\xff"),
        ("__connect.errors.stage", b"score"),
        ("__scoring.retry_count", b"4"),
    ]
    (row,) = run([b"hello"], headers=headers)

    names = [header.key for header in row.headers]
    assert names[0] == "trace"
    assert bytes(row.headers[0].value) == b"\x01\xff"
    assert len(names) == len(set(names))
    assert read_dead_letter(row).retry_count == 4


def read_headers(row: Any) -> list[tuple[str, bytes | None]]:
    return [(it.key, None if it.value is None else bytes(it.value)) for it in row.headers or ()]


def test_a_prediction_takes_the_headers_of_its_trace_and_those_that_are_chosen(run: Run) -> None:
    headers = [
        ("tracestate", b""),
        ("Traceparent", b"another name"),
        ('chosen ü"', b"1"),
        ("other", b"traceparent"),
        ("traceparent", b"00-\x00\xff"),
        ("traceparent", None),
        ('chosen ü"', b"2"),
        ("__scoring.retry_count", b"1"),
    ]
    traced = [("tracestate", b""), ("traceparent", b"00-\x00\xff"), ("traceparent", None)]
    chosen = [traced[0], ('chosen ü"', b"1"), *traced[1:], ('chosen ü"', b"2")]

    plain, envelope = run(
        [record(), b"hello"], headers=headers, dead_letter_format=DeadLetterFormat.ENVELOPE
    )
    more, letter = run([record(), b"hello"], headers=headers, carried=['chosen ü"', "absent"])

    assert [it.topic for it in (plain, envelope, more, letter)] == ["out", "dead", "out", "dead"]
    assert read_headers(plain) == traced
    assert read_headers(envelope) == traced
    assert read_headers(more) == chosen
    assert read_headers(letter)[:7] == headers[:7], "a dead letter keeps all, whatever is chosen"


def test_a_message_without_a_header_to_take_has_none(run: Run) -> None:
    assert [it.headers for it in run([record()], headers=[("other", b"traceparent")])] == [None]
    assert [it.headers for it in run([record()], headers=[])] == [None]


def test_all_violations_stand_in_the_message(run: Run) -> None:
    (row,) = run([record(gender="X", tenure="12")])

    assert read_dead_letter(row).message == (
        'gender not_allowed: found "X", expected one of "Female", "Male"; '
        'tenure wrong_type: found "12", expected an integer from 0 to 120'
    )


def test_a_dead_letter_says_what_a_known_framing_looks_like(run: Run) -> None:
    framed = [*FRAMED.values(), (b"hello", None), (record(tenure=-1), None), (None, None)]
    hints = {it.name: it.hint for it in FRAMINGS}

    rows = run([value for value, _ in framed])

    for row, (value, name) in zip(rows, framed, strict=True):
        message = read_dead_letter(row).message
        assert (name is not None) == ("looks like" in message), value
        assert name is None or message.endswith(f"; {hints[name]}"), value


@pytest.mark.parametrize("style", DeadLetterFormat)
def test_a_dead_letter_says_when_the_record_failed(run: Run, style: DeadLetterFormat) -> None:
    before = datetime.now(UTC)
    (row,) = run([b"hello"], dead_letter_format=style)

    failed = read_dead_letter(row).failed_ts
    assert failed is not None
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", failed)
    assert abs((datetime.fromisoformat(failed) - before).total_seconds()) < 60


def test_a_counted_message_says_its_outcome_and_the_times_of_its_record(run: Run) -> None:
    values = [
        record(MonthlyCharges=600.0, event_ts="2026-01-02T03:04:05.500Z"),
        record(MonthlyCharges=40.0, event_ts="2026-01-02T05:04:06+02:00"),
        record(MonthlyCharges=40.0, event_ts="2026-01-02T03:04:05.123456Z"),
        record(tenure=99, event_ts="2026-01-02T03:04:05Z"),
        record(Contract="Weekly"),
        b"{",
        None,
    ]

    rows = run(values, is_counted=True, kafka_micros=[1_767_323_045_678_999, -1, *[None] * 5])

    assert [row["outcome"] for row in rows] == [
        *("formula@1/sql\tYes", "formula@1/sql\tNo", "formula@1/sql\tNo", "no_probability:"),
        *("not_allowed:Contract", "not_json:", "null_value:"),
    ]
    assert [row["record_time_ms"] for row in rows] == [1_767_323_045_678, *[None] * 6]
    assert [row["event_time_ms"] for row in rows] == [
        *(1_767_323_045_500, 1_767_323_046_000, 1_767_323_045_123, None, None, None, None)
    ]
    assert [row["topic"] for row in rows] == [*["out"] * 3, *["dead"] * 4]


def test_a_binned_message_says_in_which_bins_its_values_and_its_score_are(run: Run) -> None:
    values = [
        record(MonthlyCharges=600.0, tenure=0, Contract="Two year"),
        record(MonthlyCharges=40.0, tenure=12, Contract="One year"),
        record(MonthlyCharges=40.5, tenure=13),
        record(tenure=99),
        record(Contract="Weekly"),
    ]
    profile = Profile(
        0,
        (
            Bins("Contract", BinKind.VALUE, values=("Two year", "One year")),
            Bins("tenure", BinKind.NUMBER, (0.0, 12.0)),
            Bins("MonthlyCharges", BinKind.NUMBER, (20.0, 40.0)),
            Bins("gender", BinKind.LENGTH, (4.0, 5.0)),
        ),
        Bins(SCORE, BinKind.NUMBER, (0.1, 0.5)),
    )

    rows = run(values, is_counted=True, profile=profile)

    key = profile.make_key("formula@1/sql")
    assert [row["bins"] and bytes(row["bins"]) for row in rows] == [
        *(key + bytes((0, 0, 2, 2, 2)), key + bytes((1, 1, 1, 2, 0))),
        *(key + bytes((2, 2, 2, 2, 0)), None, None),
    ]


def test_every_record_gives_exactly_one_message(run: Run) -> None:
    values = [*(value for value, _ in BROKEN.values()), *([record()] * 50)]

    rows = run(values)

    assert [row.source_offset for row in rows] == list(range(len(values)))
    assert [row.topic for row in rows] == ["dead"] * len(BROKEN) + ["out"] * 50


def test_decoded_frame_has_typed_features_and_stand_ins(spark: SparkSession) -> None:
    from lib.decode.engines.spark import decode_records

    values = [record(TotalCharges=" ", tenure=7.0), record_with_raw("tenure", b'"x"')]
    decoded = decode_records(build_records(spark, values), CUSTOMER)
    chosen = decoded.select("customerID", "gender", "tenure", "TotalCharges")

    expected = spark.createDataFrame(
        [("7590-VHVEG", "Female", 7, 0.0), ("7590-VHVEG", "Female", 1, 20.0)],
        "customerID string, gender string, tenure bigint, TotalCharges double",
    )
    assert_df_equality(chosen, expected, ignore_nullable=True, ignore_row_order=True)


def test_both_plans_give_the_same_message_for_thousands_of_records(spark: SparkSession) -> None:
    from lib.messages.dead_letter import OutputSettings
    from lib.stream.plan import score_records

    values = [mutate_value(VALID, Random(f"plan/{number}")) for number in range(3_000)]
    headers = [("trace", b"\x01\xff"), ("__scoring.retry_count", b" 4"), ("tracestate", b"\xff")]
    records = build_records(spark, values, headers)
    output = OutputSettings("out", "dead", "query")
    answers = [
        score_records(records, scorer, CUSTOMER, output, route).orderBy("source_offset").collect()
        for scorer, route in ((Formula(), IN_JVM), (FormulaInWorkers(), IN_WORKERS))
    ]

    for value, *rows in zip(values, *answers, strict=True):
        jvm, workers = (normalise(row) for row in rows)
        assert jvm == workers, value
    assert {row.topic for row in answers[0]} == {"out", "dead"}


def normalise(row: Any) -> Any:
    """Return what two plans must agree on: all but the time and the excerpts of found values."""
    if row.topic == "out":
        prediction = json.loads(row.value)
        del prediction["processed_ts"]
        return row.key, prediction, row.headers
    letter = read_dead_letter(row)
    violations = [(v.field, v.rule, v.expected) for v in letter.violations]
    message = None if violations else letter.message
    same = replace(letter, violations=(), message="", failed_ts=None)
    return row.key, same, violations, message


def test_values_that_are_often_misread_are_answered_as_by_predict(run: Run) -> None:
    expected = list_messages()
    messages = [message for message, _ in expected]
    alike = [answer if isinstance(answer, bytes) else None for _, answer in expected]

    rows = run([*messages, *alike])

    for (message, answer), row, other in zip(
        expected, rows[: len(messages)], rows[len(messages) :], strict=True
    ):
        if isinstance(answer, bytes):
            assert (row.topic, other.topic) == ("out", "out"), message
            found = [Prediction.from_value(it.value, CUSTOMER).probability for it in (row, other)]
            assert found[0] == found[1]
        else:
            assert read_dead_letter(row).error_type == answer, message
