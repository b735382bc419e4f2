"""The course of the demonstration once the job is started."""

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
from lib.tools.demo.account import Account, Balance
from lib.tools.demo.child import Child
from lib.tools.demo.narrator import Narrator
from lib.tools.demo.summary import Measurement
from lib.tools.demo.topics import Topics, read_topic
from lib.tools.demo.view import ArrivalView, open_arrival_view
from lib.tools.demo.watcher import Watcher
from lib.tools.produce.mixture import Message, mix_messages
from lib.tools.produce.records import KeyedRecord, encode_keyed
from lib.tools.produce.sending import Target, send_messages

# Small enough that the waiting records take several batches, which are seen to arrive.
BATCH_RECORDS = 5_000
_SEED = 20
# A start of Spark takes 10 s, on a busy machine several times that.
_PATIENCE_S = 120.0
_LOOK_INTERVAL_S = 0.05


class Course:
    """What happens while the job runs.

    Args:
        settings: how many records, how fast.
        topics: where they go and come back.
        narrator: tells each step.
        job: which scores them.
        watcher: sees them come back.
        contract: of the records.
    """

    def __init__(
        self,
        settings: DemoSettings,
        topics: Topics,
        narrator: Narrator,
        job: Child,
        watcher: Watcher,
        contract: Contract,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._narrator = narrator
        self._job = job
        self._watcher = watcher
        self._view: ArrivalView | None = None
        self._account = Account()
        self._sent_s: dict[bytes, float] = {}
        self._contract = contract
        self._messages = mix_messages(
            _iter_synthetic(contract), contract, bad_share=settings.bad_share, seed=_SEED
        )

    def run(self) -> Measurement:
        """Send, wait for all to come back, send slowly, wait again."""
        with self._shown():
            return self._run()

    def _run(self) -> Measurement:
        settings, narrator = self._settings, self._narrator
        self._send(settings.count, rate=0.0)
        narrator.tell(f"sent {settings.count:,} records, {settings.bad_share:.1%} of them broken")
        self._await_answers()
        backlog_s, after_first = self._measure_backlog()
        narrator.tell(f"all {settings.count:,} are back")
        narrator.tell(f"sending {settings.steady_count:,} more at {settings.steady_rate:g}/s")
        self._sent_s.clear()
        self._send(settings.steady_count, rate=settings.steady_rate)
        self._await_answers()
        arrived_s = self._watcher.arrivals.arrived_s
        latencies_s = [arrived_s[key] - sent_s for key, sent_s in self._sent_s.items()]
        # The JVM compiles what it runs often; until it has, every batch is faster than the last.
        latencies_s = latencies_s[len(latencies_s) // 2 :]
        return Measurement(settings.count, backlog_s, after_first, latencies_s)

    def read_back(self) -> Balance:
        """Read both output topics again, from their beginning, and compare with what was sent."""
        self._narrator.tell("reading both output topics again, from their beginning")
        topics = self._topics
        predictions = [message.key() for message in read_topic(topics, topics.predictions)]
        letters = [(m.key(), m.value()) for m in read_topic(topics, topics.dead_letters)]
        return self._account.balance(predictions, letters)

    def stop_job(self) -> None:
        """End the job as an operator does.

        Raises:
            ScoringError: it did not end well.
        """
        self._narrator.tell("stopping the job with SIGTERM: it finishes its batch")
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
        target = Target(topics.bootstrap_servers, topics.records)
        messages = islice(self._messages, count)
        report = send_messages(messages, target, rate=rate, on_sent=self._note)
        if report.delivered < report.sent:
            raise ScoringError(
                f"{report.sent - report.delivered} records were not delivered: {report.failures}",
                hint="check the broker",
            )

    def _note(self, message: Message) -> None:
        self._account.note(message)
        self._sent_s[message.key] = time.monotonic()
        self._show()

    def _await_answers(self) -> None:
        """Wait until every key that was sent has come back."""
        arrived_s, last = self._watcher.arrivals.arrived_s, -1
        deadline_s = 0.0
        while len(arrived_s) < len(self._account):
            if len(arrived_s) > last:
                last, deadline_s = len(arrived_s), time.monotonic() + _PATIENCE_S
            self._look()
            if time.monotonic() > deadline_s:
                raise ScoringError(
                    f"{last:,} of {len(self._account):,} records are back,"
                    f" and none for {_PATIENCE_S:.0f} s",
                    hint=f"all that the job said is in {self._job.log}",
                )

    def _look(self) -> None:
        self._job.check()
        self._watcher.check()
        self._show()
        time.sleep(_LOOK_INTERVAL_S)

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """Show what arrives for as long as it is open."""
        with open_arrival_view(self._narrator, self._contract) as self._view:
            yield
        self._view = None

    def _show(self) -> None:
        if self._view is not None:
            self._view.show(self._watcher.arrivals)

    def _measure_backlog(self) -> tuple[float, int]:
        """Seconds from the first answer to the last, and the answers after the first batch."""
        arrived_s = sorted(self._watcher.arrivals.arrived_s.values())
        return arrived_s[-1] - arrived_s[0], max(0, len(arrived_s) - BATCH_RECORDS)


def _iter_synthetic(contract: Contract) -> Iterator[KeyedRecord]:
    """Calibrated records without end; no identifier comes twice."""
    for first in count(0, BLOCK_ROWS):
        for block in iter_tables(BLOCK_ROWS, _SEED, first=first):
            for record in iter_records(block, contract):
                yield encode_keyed(record, contract)
