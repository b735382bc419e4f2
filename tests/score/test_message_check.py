"""Failures of a model in the JVM are counted in the messages, before these are written."""

from __future__ import annotations

import json
import pickle

import pyarrow as pa
import pytest

from lib.errors import ModelFailingError
from lib.messages.columns import HEADERS_ARROW
from lib.messages.dead_letter import DeadLetterFormat, OutputSettings
from lib.score.workers.failures import FailurePolicy
from lib.score.workers.message_check import MessageCheck

Cell = tuple[str, bytes | None, list[tuple[str, bytes]] | None]
PREDICTION: Cell = ("out", b"{}", None)


def in_headers(error: bytes) -> Cell:
    own = [("trace", b"inference_error"), ("__connect.errors.exception.class.name", error)]
    return ("dead", b"x", own)


def in_envelope(error: str) -> Cell:
    """Write an envelope whose original message looks like an envelope itself."""
    original = json.dumps({"error_type": "inference_error"}, separators=(",", ":"))
    envelope = {"original_message": original, "error_type": error}
    return ("dead", json.dumps(envelope, separators=(",", ":")).encode(), None)


FAILED = {
    DeadLetterFormat.HEADERS: in_headers(b"inference_error"),
    DeadLetterFormat.ENVELOPE: in_envelope("inference_error"),
}
INVALID = {
    DeadLetterFormat.HEADERS: in_headers(b"validation_error"),
    DeadLetterFormat.ENVELOPE: in_envelope("validation_error"),
}
FORMATS = pytest.mark.parametrize("form", list(DeadLetterFormat))


def make_messages(*cells: Cell) -> pa.Table:
    topics, values, headers = zip(*cells, strict=True)
    columns = [
        pa.array(topics),
        pa.array(values, pa.binary()),
        pa.array(headers, HEADERS_ARROW),
    ]
    return pa.Table.from_arrays(columns, ["topic", "value", "headers"])


def make_check(name: str, form: DeadLetterFormat, limit: float = 0.9) -> MessageCheck:
    """Make a check as a task gets it; the name keeps the counts of tests apart."""
    output = OutputSettings("out", "dead", "query", form)
    check = MessageCheck.of("m@1/sql", FailurePolicy(limit, f"{name} {form}"), output)
    found: MessageCheck = pickle.loads(pickle.dumps(check))
    return found


@FORMATS
def test_a_model_that_fails_on_nearly_all_valid_records_stops(form: DeadLetterFormat) -> None:
    # The invalid records are no fault of the model.
    messages = make_messages(*[FAILED[form]] * 180, *[PREDICTION] * 20, *[INVALID[form]] * 500)
    expected = (
        "^model m@1/sql failed on 180 of 200 records, 90%, most often with no probability between"
        " 0 and 1"
    )
    with pytest.raises(ModelFailingError, match=expected):
        make_check("stops", form)(messages)


@FORMATS
def test_fewer_failures_do_not_stop(form: DeadLetterFormat) -> None:
    messages = make_messages(*[FAILED[form]] * 179, *[PREDICTION] * 21, *[INVALID[form]] * 500)
    make_check("goes on", form)(messages)
    make_check("predictions", form)(make_messages(*[PREDICTION] * 500))
    make_check("nothing valid", form)(make_messages(*[INVALID[form]] * 500))
    make_check("never", form, 1.0)(make_messages(*[FAILED[form]] * 500))


@FORMATS
def test_small_batches_are_judged_together(form: DeadLetterFormat) -> None:
    check = make_check("small", form)
    for _ in range(9):
        check(make_messages(*[FAILED[form]] * 20))
    with pytest.raises(ModelFailingError, match="failed on 200 of 200 records"):
        check(make_messages(*[FAILED[form]] * 20))
