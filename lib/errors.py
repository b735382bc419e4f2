"""The errors of this project: each class has a remedy, each message names the place."""

from __future__ import annotations


class ScoringError(Exception):
    """The base of all errors that a user can act on.

    Args:
        message: the failure, its place, and what was found against what was expected.
        hint: the way out, as one sentence. The class's ``remedy`` stands in when none is given.
    """

    remedy = "see the documentation"
    #: Whether the same attempt, made again a little later, may well succeed.
    is_transient = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint or self.remedy
        super().__init__(f"{message} ({self.hint})")


class SettingsError(ScoringError):
    """A setting is unknown, missing or out of its range."""

    remedy = "correct the setting; --help lists them all"


class ContractError(SettingsError):
    """A contract's file cannot be read, or holds no valid contract."""

    remedy = "correct the file; docs/contract.md describes its form"


class SetupError(ScoringError):
    """Java, the Kafka connector or another part of the installation is missing."""

    remedy = "run `make setup`"


class FileError(ScoringError):
    """A file or folder cannot be read or written."""

    remedy = "check the path, and the rights of the user"


class DiskFullError(FileError):
    """No space is left for a file."""

    remedy = "free some space, or name another place"


class ModelError(ScoringError):
    """A model cannot be used: not found, altered, or made for something else."""

    remedy = "train a version with jobs/train.py, or name another one with --model"


class ModelNotFoundError(ModelError):
    """The model store has no such model or version."""


class ModelCorruptError(ModelError):
    """An artefact does not match the checksum it was saved with; it has not been opened."""

    remedy = "restore the artefact or train a new version; never edit a saved one"


class ModelMismatchError(ModelError):
    """The model was made for another contract or by other library versions."""

    remedy = "train a new version with the installed libraries and the current contract"


class ModelInUseError(ModelError):
    """A version must stay, because jobs or the numbers of later versions need it."""

    remedy = "name a version that is neither the champion nor the newest"


class NoProbabilityError(ModelError, ValueError):
    """A model gave no probability for a row, or raised on it."""

    remedy = "check the values of that row"


class ModelNotTrustedError(ModelError):
    """A model might run code that nobody answers for."""

    remedy = "see 'Models' in docs/security.md"


class KafkaSetupError(ScoringError):
    """Kafka cannot be used as configured: broker unreachable, topic missing, access denied."""

    remedy = "check --bootstrap-servers and the --kafka options"


class SourceError(ScoringError):
    """Input for a batch replay cannot be read."""

    remedy = "point --input at Parquet files with a value column or the contract's columns"


class CorrectionError(ScoringError):
    """A user's correction of dead letters failed. Nothing of its transaction has been sent."""

    remedy = "correct the function and run again: it goes on before that letter"


class ResendRefusedError(ScoringError):
    """Dead letters might be sent a second time, or be left out; nothing was sent."""

    remedy = "see 'Sending them again' in docs/dead_letters.md"


class OffsetsInUseError(ScoringError):
    """The positions of a group cannot be changed now, because somebody moves them."""

    remedy = "stop who uses the group first"


class EvaluationError(ScoringError):
    """Predictions cannot be judged by outcomes; the current result has not been changed."""

    remedy = "see 'What a run refuses' in docs/outcomes.md"


class SinkError(ScoringError):
    """The base of all errors that end a query or a write."""


class BatchTooLargeError(SinkError):
    """The messages of a batch are more than the driver may collect."""

    remedy = "raise spark.driver.maxResultSize"


class SinkFencedError(SinkError):
    """Another driver with the same query name has taken over; this one must stop for good."""

    remedy = "stop one of the two jobs, or give them different query names"


class SinkFencedByTaskError(SinkFencedError):
    """A task of an older run, which commits on executors, is still writing; fence it again."""


class SinkTakenOverError(SinkFencedError):
    """Another run has committed for this query, as the stamps of the offsets say."""


class OwnerAliveError(SinkFencedError):
    """Another job of this query name runs, and this one was told not to wait for its end."""

    remedy = "stop the other job, give this one another query name, or let it wait"


class StartGivenUpError(SinkError):
    """A start was given up while it waited; nothing has been changed."""

    remedy = "start the job again"


class SinkOffsetsGoneError(SinkError):
    """An offset that this run has committed is not there any more: it was deleted, or expired."""

    remedy = "start the job again: it goes on, or says which batch to look for"


class SinkTopicChangedError(SinkError):
    """The source topic was deleted while the query was running, and maybe recreated."""

    remedy = (
        "to begin with the new topic's records, none of which was answered, remove the checkpoint,"
        " and delete the group's offsets if there are any"
    )


class SourceRecordsGoneError(SinkError):
    """Records that the query was about to read are not there any more, or never were."""

    remedy = (
        "records were deleted before they were read, or the topic was recreated; see"
        " docs/refused_starts.md"
    )


class SourceTimestampError(SinkError):
    """Spark cannot read a record, because its Kafka timestamp exceeds what Spark can hold."""

    remedy = (
        "correct the producer: Kafka's timestamps are milliseconds, and this one seems to be"
        " nanoseconds"
    )


class ResumeRefusedError(SinkError):
    """Checkpoint, committed offsets and their stamps contradict each other."""

    remedy = "docs/refused_starts.md tells the ways out"


class CheckpointDamagedError(SinkError):
    """A file of the checkpoint is damaged or missing; the next start decides how to go on."""

    remedy = "start it again: it goes on from the group's offsets, or says what is lacking"
    is_transient = True


class SinkRetryExhaustedError(SinkError):
    """A transaction failed again and again for transient reasons. Nothing of it is visible."""

    remedy = "check the brokers, then start the job again: it resumes where it was"
    is_transient = True


class QueryFailedError(SinkError):
    """Spark ended the query, for a reason that may pass: a lost executor, a broker not reached."""

    remedy = "start it again: it resumes where it was; --verbose shows the whole trace"
    is_transient = True


class BatchTimeoutError(SinkError):
    """A batch has made no progress for too long: a worker hangs, or waits for something else."""

    remedy = "raise --batch-timeout if a task or a transaction may take longer than that"
    is_transient = True


class BrokersAwayError(SinkError):
    """An outage of the brokers was longer than the job may wait for them."""

    remedy = "check the brokers, then start the job again: it resumes where it was"


class QueryHungError(SinkError):
    """Spark does not end a query, so that none can follow it in this process."""

    remedy = "start the job again: it resumes where it was"


class WorkerError(SinkError):
    """The code in a Python worker failed, or its packages did; it would fail again."""

    remedy = "--verbose shows the whole trace"


class ModelFailingError(ModelError, SinkError):
    """The model fails on nearly all records, which are not made dead letters one after the other.

    Its message may be shown whole: it holds no contents of records.
    """

    remedy = (
        "name another version with --model, or let each such record become a dead letter with"
        " --model-failure-limit 1"
    )


class ModelChangedError(SinkError):
    """Another version of the model makes the next batch, which needs a new start of the query."""

    remedy = "nothing has to be done: the query starts again with it"
    is_transient = True


class BrakeError(SinkError):
    """Too many of the last records would become dead letters, and the settings say to stop then."""

    remedy = (
        "nothing of this batch is written; start it once with --once-accept-dead-letters to write"
        " the dead letters of all that the topic holds, or correct the contract, the model or the"
        " topic and start it again; docs/brake.md"
    )


class PlanRefusedError(SinkError):
    """The plan would break the guarantee, such as a shuffle before commits on executors."""

    remedy = "change the plan, or commit on the driver"


class SinkRejectedError(SinkError):
    """Kafka refuses a message for good, for example because it is larger than the topic allows."""

    remedy = "see the reason, then start the job again"


class SinkClockError(SinkRejectedError):
    """Kafka refuses messages for their time, until the clock of their machine is right again."""

    is_transient = True


def first_line(text: str | None) -> str:
    """Return the first line of a library's message, which may be empty."""
    return next(iter((text or "").strip().splitlines()), "")


def name_error(error: Exception) -> str:
    """Return a library's exception as one phrase: its class and the first line of its message."""
    line = first_line(str(error))
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
