"""Refuses settings and models that cannot work in real-time mode, before Spark does. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lib.errors import SettingsError
from lib.score.registry import rank_backends

REAL_TIME = "real-time"
#: Spark's default bound, in milliseconds; a session may have another one.
MIN_BATCH_SETTING = "spark.sql.streaming.realTimeMode.minBatchDuration"

_UNITS_MS = {"millisecond": 1, "second": 1_000, "minute": 60_000, "hour": 3_600_000}


def iter_conflicts(
    *,
    delivery: str,
    commit: str,
    trigger: str | None,
    max_offsets_per_trigger: int | None,
    decoder: str,
    rival: str = "",
) -> Iterator[str]:
    """Yield settings that contradict the mode, as phrases that say what to do.

    Args:
        delivery: the job's setting.
        commit: the job's setting.
        trigger: the job's setting; None for the default.
        max_offsets_per_trigger: the job's setting; None for the default.
        decoder: the job's setting.
        rival: the flag that names another model beside the champion; empty for none.
    """
    if delivery != "at-least-once":
        yield (
            f"found --delivery {delivery}, expected at-least-once: in this mode records are written"
            " again after a crash; say --delivery at-least-once, or --mode micro-batch"
        )
    if commit != "driver":
        yield f"found --commit {commit}, but it has no transactions; leave it out"
    if trigger == "available-now":
        yield "found --trigger available-now, but it never ends; drain in --mode micro-batch"
    elif trigger is not None:
        yield (
            f"found --trigger {trigger}, but it takes each record as it comes; leave it out"
            " (--real-time-batch is the time between checkpoints)"
        )
    if max_offsets_per_trigger is not None:
        yield (
            f"found --max-offsets-per-trigger {max_offsets_per_trigger}, but Spark bounds no batch"
            " in it by records; leave it out"
        )
    if decoder == "python":
        yield f"found --decoder {decoder}, but Spark allows no Python in it; leave it out"
    if rival:
        yield f"found {rival}, but one model scores in it; leave it out"


def parse_interval_ms(text: str) -> int:
    """Parse an interval such as "5 seconds" to milliseconds."""
    number, unit = text.split()
    return int(number) * _UNITS_MS[unit.removesuffix("s")]


def check_batch(batch: str, minimum_ms: int) -> None:
    """Refuse a batch that is too short for Spark.

    Args:
        batch: the value of ``--real-time-batch``.
        minimum_ms: the session's minimum.

    Raises:
        SettingsError: the batch is shorter than the minimum.
    """
    if parse_interval_ms(batch) < minimum_ms:
        raise SettingsError(
            f"--real-time-batch: found {batch}, expected at least {minimum_ms:,} milliseconds",
            hint="a longer one makes nothing slower; Spark's bound is --conf"
            f" {MIN_BATCH_SETTING}={minimum_ms}",
        )


def check_backend(scored_by: str, *, is_native: bool) -> None:
    """Refuse a model that needs Python workers: Spark's real-time mode has none.

    Args:
        scored_by: model and backend that really score, as in ``model@3/onnx``.
        is_native: whether it scores inside Spark's JVM.

    Raises:
        SettingsError: the model needs Python workers.
    """
    if not is_native:
        native = " or ".join(kind.name for kind in rank_backends() if kind.is_native)
        raise SettingsError(
            f"--mode {REAL_TIME}: found the model {scored_by}, which scores in Python workers,"
            " expected one that scores inside Spark's JVM",
            hint=f"take --backend {native}, which say why if their model cannot be used, or --mode"
            " micro-batch",
        )


def check_slots(slots: int, partitions: int, master: str) -> None:
    """Refuse fewer task slots than partitions: a partition without a slot would never be read.

    Args:
        slots: the number of tasks that run at once.
        partitions: the number of source partitions, whose tasks run as long as the batch.
        master: Spark's master, for the advice in the error.

    Raises:
        SettingsError: there are too few.
    """
    if slots >= partitions:
        return
    if master.startswith("local") and not master.startswith("local-cluster"):
        remedy = f"./spark-submit.sh --master 'local[{partitions}]' …, whatever the number of cores"
    else:
        remedy = "give Spark more executors or cores"
    raise SettingsError(
        f"--mode {REAL_TIME}: found {slots} task slots (master {master}) for {partitions} source"
        " partitions, expected one for each, for a task holds its slot as long as the batch",
        hint=f"{remedy}, or read fewer with --partitions",
    )
