"""Asks brokers by Java's client what librdkafka cannot ask: their clock, transactional ids."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError  # type: ignore[import-untyped]  # it ships no types
from pyspark.sql import SparkSession

from lib.findings import Finding, Severity
from lib.kafka.cluster import Cluster
from lib.kafka.rights import CLUSTER, Right
from lib.source.kafka import build_java_admin
from lib.spark.root_cause import find_root_cause
from lib.tools.check.examination import Examination

_ANSWER_TIMEOUT_S = 10
# Brokers refuse messages from a clock that is ahead of theirs by more than this, unless
# message.timestamp.after.max.ms of the topic says otherwise.
_REFUSED_S = 3600.0
# Without a lease this difference shows in latencies, and does no other harm.
_UNUSUAL_S = 5.0
_NO_RIGHT = "AuthorizationException"


@dataclass(frozen=True)
class ClockDifference:
    """The difference between this machine's clock and that of Kafka's active controller.

    Attributes:
        ahead_s: the seconds by which this machine's clock is ahead; negative if it is behind.
        within_s: the largest error of that number.
    """

    ahead_s: float
    within_s: float


def check_by_java(
    examination: Examination,
    spark: SparkSession,
    cluster: Cluster,
    rights: Sequence[Right],
    lease_s: float,
) -> None:
    """Check the clock and the rights to transactional ids.

    Args:
        examination: the findings.
        spark: the session, whose JVM has the client.
        cluster: the cluster that is asked.
        rights: all rights that the job needs.
        lease_s: the seconds of ``--lease``.
    """
    with _open_admin(spark, cluster) as client:
        for right in rights:
            if right.kind == "transactional id":
                examination.add(_check_transactional_id(spark, client, right, cluster.principal))
        examination.add(_check_clock(spark, client, cluster.principal, lease_s))


@contextmanager
def _open_admin(spark: SparkSession, cluster: Cluster) -> Iterator[Any]:
    client = build_java_admin(spark, cluster)
    try:
        yield client
    finally:
        jvm: Any = spark._jvm
        client.close(jvm.java.time.Duration.ZERO)


def _wait(spark: SparkSession, future: Any) -> Any:
    jvm: Any = spark._jvm
    return future.get(_ANSWER_TIMEOUT_S, jvm.java.util.concurrent.TimeUnit.SECONDS)


def _check_transactional_id(
    spark: SparkSession, client: Any, right: Right, principal: str
) -> Finding:
    """Ask for a transactional id, which the right to write includes the right to."""
    check, jvm = f"right: {right}", spark._jvm
    name = f"{right.name}0" if right.is_prefix else right.name
    ids = jvm.java.util.Collections.singletonList(name)  # type: ignore[union-attr]
    try:
        _wait(spark, client.describeTransactions(ids).description(name))
    except Py4JJavaError as error:
        cause = find_root_cause(error)
        if _NO_RIGHT in cause:
            return Finding(
                *(Severity.ERROR, check, "not granted", "granted"),
                f"{principal} lacks {right}: it must not even see the transactional id",
                right.command(principal),
            )
        if "TransactionalIdNotFoundException" not in cause:
            return Finding.unknown(check, cause, "check the brokers", "granted")
    return Finding.ok(check, "the user may see it", "granted")


def _check_clock(spark: SparkSession, client: Any, principal: str, lease_s: float) -> Finding:
    try:
        difference = measure_clock(spark, client)
    except Py4JJavaError as error:
        cause = find_root_cause(error)
        grant = Right("DESCRIBE", "cluster", CLUSTER, "reads the clock")
        hint = grant.command(principal) if _NO_RIGHT in cause else "check the brokers"
        return Finding.unknown("clock", cause, hint, "that of the brokers")
    if difference is None:
        return Finding.unknown("clock", "the brokers do not tell their time", "compare it by hand")
    return judge_clock(difference, lease_s)


def measure_clock(spark: SparkSession, client: Any) -> ClockDifference | None:
    """Measure the difference of the clocks; None if the brokers do not tell their time.

    The active controller tells for itself, as the time of its last fetch, the time of the answer.

    Raises:
        Py4JJavaError: the user has no right to ask, or nobody answers.
    """
    before_s = time.time()
    quorum = _wait(spark, client.describeMetadataQuorum().quorumInfo())
    after_s = time.time()
    for voter in quorum.voters():
        told = voter.lastFetchTimestamp()
        if voter.replicaId() == quorum.leaderId() and told.isPresent():
            middle_s, half_s = (before_s + after_s) / 2, (after_s - before_s) / 2
            return ClockDifference(middle_s - told.getAsLong() / 1000, half_s)
    return None


def judge_clock(difference: ClockDifference, lease_s: float) -> Finding:
    """Compare the difference of clocks with what it may be. Pure.

    Args:
        difference: the difference that was measured.
        lease_s: the seconds of ``--lease``.
    """
    ahead_s, bound_s = difference.ahead_s, lease_s or _UNUSUAL_S
    side = "ahead of" if ahead_s >= 0 else "behind"
    found = f"{abs(ahead_s):.1f} s {side} the brokers', ± {difference.within_s:.1f} s"
    expected = f"within {bound_s:g} s of the brokers'"
    if abs(ahead_s) - difference.within_s <= bound_s:
        return Finding.ok("clock", found, expected)
    is_refused = ahead_s - difference.within_s > _REFUSED_S
    text = (
        "brokers refuse all messages, unless message.timestamp.after.max.ms of the topics is raised"
        if is_refused
        else "a job takes another one of its query name for dead that is alive, or waits too long"
    )
    return Finding(
        *(Severity.ERROR if is_refused else Severity.WARNING, "clock", found, expected),
        f"the clock of this machine is {found}: {text}",
        "set the clock, and keep it right with NTP",
    )
