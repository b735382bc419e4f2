from __future__ import annotations

import logging

import pytest

from lib.kafka.client_log import ClientLog

TEXT, CLIENT = "%s [%s] %s", "rdkafka#producer-1"
LOST = "TxnCoordinator/1: Disconnected: connection closed by peer (after 1009ms in state UP)"


def tell(facility: str, line: str, level: int = logging.DEBUG) -> str | None:
    log = ClientLog()
    log.log(level, TEXT, facility, CLIENT, line)
    return log.loss


@pytest.mark.parametrize(
    ("facility", "line"),
    [
        ("FAIL", f"[thrd:TxnCoordinator]: {LOST} (_TRANSPORT)"),
        ("FAIL", "b:1/1: Disconnected (after 5ms in state UP, 3 identical error(s) suppressed)"),
        ("FAIL", "TxnCoordinator/2: Closing connection due to nodename change (after 7ms in state"),
        ("FAIL", "b:1/1: Disconnected (after 60000ms in state REAUTH) (_TRANSPORT)"),
        ("REQTMOUT", "b:1/1: Timed out 1 in-flight, 0 retry-queued, 0 out-queue requests"),
    ],
)
def test_a_request_whose_answer_may_be_lost_is_noted(facility: str, line: str) -> None:
    assert tell(facility, line) == line


@pytest.mark.parametrize(
    ("facility", "line"),
    [
        ("FAIL", "b:1/1: Connect to ipv4#b:1 failed: refused (after 0ms in state CONNECT)"),
        ("FAIL", "b:1/1: Decommissioning this broker (after 0ms in state DOWN) (_DESTROY_BROKER)"),
        ("FAIL", "b:1/1: Broker handle is terminating (after 1ms in state INIT)"),
        ("WAKEUP", "Wake-up sent to 2 broker threads in state >= UP: flushing"),
        ("STATE", "b:1/1: Broker changed state UP -> DOWN"),
        ("RETRY", "b:1/1: Moved 1 retry buffer(s) to output queue"),
    ],
)
def test_what_loses_no_request_is_not(facility: str, line: str) -> None:
    assert tell(facility, line) is None


def test_the_first_loss_is_told_until_it_is_forgotten() -> None:
    log = ClientLog()
    log.log(logging.INFO, TEXT, "FAIL", CLIENT, LOST)
    log.note_repeated_call("_TIMED_OUT")
    found = [log.loss]

    log.forget()
    found.append(log.loss)
    log.note_repeated_call("_TIMED_OUT")
    found.append(log.loss)
    assert found == [LOST, None, "a call was repeated after _TIMED_OUT"]


def test_errors_are_passed_on_as_the_client_words_them_and_alarm_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "lib.kafka.client_log"):
        tell("FAIL", LOST, logging.INFO)
        tell("ERROR", "fenced", logging.ERROR)

    assert caplog.messages == [f"ERROR [{CLIENT}] fenced"]
    assert [record.levelname for record in caplog.records] == ["INFO"]
