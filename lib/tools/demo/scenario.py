"""Runs the demonstration once the job is started."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice

from lib.errors import ScoringError
from lib.interruption import Interruption
from lib.record.contract import Contract
from lib.settings.jobs.demo import DemoSettings
from lib.synth import iter_records
from lib.synth.telco import BLOCK_ROWS
from lib.synth.telco import iter_customers as iter_tables
from lib.tools.demo.child import Child
from lib.tools.demo.comparison import Comparison, SentRecords
from lib.tools.demo.output import ArrivalView, Output, open_arrival_view
from lib.tools.demo.summary import Measurement
from lib.tools.demo.topics import ArrivalReader, Topics, read_topic
from lib.tools.produce.mixture import Message, mix_messages
from lib.tools.produce.records import KeyedRecord, encode_keyed
from lib.tools.produce.sending import Target, send_messages

# So small that the records that wait take several batches, whose arrival is seen.
BATCH_RECORDS = 5_000
_SEED = 20
# A start of Spark takes 10 s, on a busy machine several times that.
_PATIENCE_S = 120.0
_LOOK_INTERVAL_S = 0.05


class Scenario:
    """Sends records to a running job, and waits for its messages.

    Args:
        settings: the numbers of records and their rate.
        topics: the topics of the job.
        output: the output, which prints each step.
        job: the process that scores the records.
        reader: the reader of the job's messages as they arrive.
        contract: the contract of the records.
    """

    def __init__(
        self,
        settings: DemoSettings,
        topics: Topics,
        output: Output,
        job: Child,
        reader: ArrivalReader,
        contract: Contract,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._output = output
        self._job = job
        self._reader = reader
        self._view: ArrivalView | None = None
        self._sent = SentRecords()
        self._sent_s: dict[bytes, float] = {}
        self._contract = contract
        self._messages = mix_messages(
            _iter_synthetic(contract), contract, bad_share=settings.bad_share, seed=_SEED
        )

    def run(self) -> Measurement:
        """Send records at once and wait for all, then send more at a steady rate and wait again."""
        with self._shown():
            return self._run()

    def _run(self) -> Measurement:
        settings, output = self._settings, self._output
        self._send(settings.count, rate=0.0)
        output.print_step(
            f"sent {settings.count:,} records, {settings.bad_share:.1%} of them broken"
        )
        self._await_answers()
        backlog_s, after_first = self._measure_backlog()
        output.print_step(f"all {settings.count:,} are back")
        output.print_step(f"sending {settings.steady_count:,} more at {settings.steady_rate:g}/s")
        self._sent_s.clear()
        self._send(settings.steady_count, rate=settings.steady_rate)
        self._await_answers()
        arrived_s = self._reader.arrivals.arrived_s
        latencies_s = [arrived_s[key] - sent_s for key, sent_s in self._sent_s.items()]
        # Until the JVM has compiled what it runs often, each batch is faster than the last one.
        latencies_s = latencies_s[len(latencies_s) // 2 :]
        return Measurement(settings.count, backlog_s, after_first, latencies_s)

    def read_back(self) -> Comparison:
        """Read both output topics again, from their beginning, and compare with what was sent."""
        self._output.print_step("reading both output topics again, from their beginning")
        topics = self._topics
        predictions = [message.key() for message in read_topic(topics, topics.predictions)]
        letters = [(m.key(), m.value()) for m in read_topic(topics, topics.dead_letters)]
        return self._sent.compare(predictions, letters)

    def stop_job(self) -> None:
        """End the job as an operator does.

        Raises:
            ScoringError: the job did not end well.
        """
        self._output.print_step("stopping the job with SIGTERM: it finishes its batch")
        self._job.check()
        exit_code = self._job.stop()
        if exit_code != 0:
            raise ScoringError(
                f"the job ended with exit code {exit_code} after SIGTERM, expected 0",
                hint=f"all it said is in {self._job.log}",
            )

    def keep(self) -> None:
        """Show what arrives until Ctrl-C, then end the job."""
        with Interruption() as interruption, self._shown():
            while not interruption.is_requested():
                self._look()
        self.stop_job()

    def _send(self, count: int, rate: float) -> None:
        topics = self._topics
        target = Target(topics.cluster, topics.records)
        messages = islice(self._messages, count)
        report = send_messages(messages, target, rate=rate, on_sent=self._note)
        if report.delivered < report.sent:
            raise ScoringError(
                f"{report.sent - report.delivered} records were not delivered: {report.failures}",
                hint="check the broker",
            )

    def _note(self, message: Message) -> None:
        self._sent.note(message)
        self._sent_s[message.key] = time.monotonic()
        self._show()

    def _await_answers(self) -> None:
        """Wait until every key that was sent has come back."""
        arrived_s, last = self._reader.arrivals.arrived_s, -1
        deadline_s = 0.0
        while len(arrived_s) < len(self._sent):
            if len(arrived_s) > last:
                last, deadline_s = len(arrived_s), time.monotonic() + _PATIENCE_S
            self._look()
            if time.monotonic() > deadline_s:
                raise ScoringError(
                    f"{last:,} of {len(self._sent):,} records are back,"
                    f" and none for {_PATIENCE_S:.0f} s",
                    hint=f"all that the job said is in {self._job.log}",
                )

    def _look(self) -> None:
        self._job.check()
        self._reader.check()
        self._show()
        time.sleep(_LOOK_INTERVAL_S)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """Show what arrives while the context is open."""
        with open_arrival_view(self._output, self._contract) as self._view:
            yield
        self._view = None

    def _show(self) -> None:
        if self._view is not None:
            self._view.show(self._reader.arrivals)

    def _measure_backlog(self) -> tuple[float, int]:
        """Return the seconds from the first answer to the last, and the answers after one batch."""
        arrived_s = sorted(self._reader.arrivals.arrived_s.values())
        return arrived_s[-1] - arrived_s[0], max(0, len(arrived_s) - BATCH_RECORDS)


def _iter_synthetic(contract: Contract) -> Iterator[KeyedRecord]:
    """Generate calibrated records without end, each with an identifier of its own."""
    for first in count(0, BLOCK_ROWS):
        for block in iter_tables(BLOCK_ROWS, _SEED, first=first):
            for record in iter_records(block, contract):
                yield encode_keyed(record, contract)
