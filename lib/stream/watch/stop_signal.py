"""Handles SIGTERM and Ctrl-C as requests to stop, whatever the job is doing."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType, TracebackType
from typing import Any, Protocol, Self

from pyspark import SparkContext, java_gateway

from lib.exit_codes import ExitCode
from lib.interruption import STOP_SIGNALS, handle_signals

logger = logging.getLogger(__name__)

# The time between two looks of the thread that enforces the stop.
_LOOK_S = 0.25
# The first line about what a stop still waits for comes after this time, others later and later.
_FIRST_REMINDER_S = 5.0
# The time for closing clients and Spark after the batch has been given up.
_CLOSING_S = 15.0
# The JVM waits for the answer of the handler that called back into Python.
_ANSWER_S = 0.2


class ProcessEnd(Protocol):
    """The type of ``lib.stream.watch.process_end.end_process``, which ends the process."""

    def __call__(self, code: int, *, with_jvm: bool = True) -> object:
        """End the process with an exit code; end the JVM too, or leave it to its own shutdown."""


class StopSignal:
    """Catches both signals in both processes while it is open, and bounds how long a stop takes.

    Under spark-submit the JVM gets SIGTERM, and would exit at once, in the middle of a batch;
    Ctrl-C at a terminal reaches both processes. So the JVM's handlers are replaced by ones that
    call back into Python: see :meth:`watch_jvm`.

    Before the job works on anything (:meth:`working_on`) a signal ends the process at once. Later
    the job ends by itself, because it looks at this object wherever it waits. A thread logs what
    the stop waits for, interrupts calls that do not look, and ends the process after a time limit.

    Args:
        patience_s: the time that the batch under way may take after a signal.
        end: a function that ends the process if the job does not end by itself; None for none.
    """

    def __init__(self, patience_s: float = 60.0, end: ProcessEnd | None = None) -> None:
        self._patience_s = patience_s
        self._end = end
        self._requested = threading.Event()
        self._closed = threading.Event()
        # It is set by the request, and by the end of the job.
        self._woken = threading.Event()
        self._name = "SIGTERM"
        self._requested_s = 0.0
        # The work that the request has interrupted; None before any work.
        self._interrupted: str | None = None
        self._work: tuple[str, Callable[[], object] | None] | None = None
        self._python_handlers = ExitStack()
        self._jvm_handlers: dict[str, Any] = {}

    @property
    def is_requested(self) -> bool:
        """Whether a stop was requested."""
        return self._requested.is_set()

    @property
    def patience_left_s(self) -> float:
        """The time that the batch under way may still take; all of it without a request."""
        waited_s = time.monotonic() - self._requested_s if self.is_requested else 0.0
        return self._patience_s - waited_s

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a process that the signal has ended before its work was done."""
        return ExitCode.INTERRUPTED if self._name == "SIGINT" else ExitCode.TERMINATED

    def wait(self, timeout_s: float) -> bool:
        """Wait for a request, and tell whether there is one."""
        return self._requested.wait(timeout_s)

    def request(self, name: str) -> None:
        """Request the stop, in the name of a signal."""
        if self._requested.is_set():
            return
        self._name, self._requested_s = name, time.monotonic()
        self._interrupted = self._work and self._work[0]
        self._requested.set()
        self._woken.set()

    @contextmanager
    def working_on(
        self, what: str, give_up: Callable[[], object] | None = None, *, then: str | None = None
    ) -> Iterator[None]:
        """Mark a block of work that ends by itself when a stop is requested.

        Args:
            what: a phrase for the log that names the work.
            give_up: a function that makes the block end soon. Another thread calls it, several
                times, if a request comes while the block runs.
            then: a phrase that names the work that goes on after the block, until
                :meth:`end_work`, if no error ends the block; None for the work of before.
        """
        after, self._work = self._work, (what, give_up)
        try:
            yield
            if then is not None:
                after = (then, None)
        finally:
            self._work = after

    def end_work(self) -> None:
        """Mark the end of all work, after which only Spark and the process end."""
        self._work = None

    def watch_jvm(self) -> None:
        """Catch the signals of the JVM too, which is started if there is none.

        Call it again after a ``SparkContext`` was made, which replaces the handler of Ctrl-C.
        """
        self._python_handlers.enter_context(handle_signals(self._on_python_signal))
        SparkContext._ensure_initialized()
        for number in STOP_SIGNALS:
            name = number.name.removeprefix("SIG")
            if name not in self._jvm_handlers:
                self._jvm_handlers[name] = _handle_in_jvm(name, _JvmSignalHandler(self))

    def __enter__(self) -> Self:
        self._python_handlers.enter_context(handle_signals(self._on_python_signal))
        threading.Thread(target=self._see_to_the_end, name="stop", daemon=True).start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closed.set()
        self._woken.set()
        self._python_handlers.close()
        while self._jvm_handlers:
            _handle_in_jvm(*self._jvm_handlers.popitem())

    def _on_python_signal(self, number: int, frame: FrameType | None) -> None:
        self.request(signal.Signals(number).name)

    def _see_to_the_end(self) -> None:
        """Run the thread that enforces the stop; it never waits for Kafka or Spark."""
        self._woken.wait()
        if not self.is_requested:
            return
        if self._interrupted is None:
            logger.warning("%s: the query does not run yet, ending at once", self._name)
            self._end_process(with_jvm=False)
            return
        logger.warning("%s: stopping, waiting for %s", self._name, self._interrupted)
        self._press_on()

    def _press_on(self) -> None:
        """Log what the stop waits for, interrupt it, and end the process after the time limit."""
        reminder_s = _FIRST_REMINDER_S
        # This thread goes on after the context is closed, because the process may hang at its end.
        while not self._closed.is_set() or self._end is not None:
            time.sleep(_LOOK_S)
            what, give_up = self._work or ("Spark to end", None)
            waited_s = time.monotonic() - self._requested_s
            if give_up is not None:
                give_up()
            if waited_s >= self._patience_s + _CLOSING_S:
                logger.warning("%s: ending at once, after %.0f s", self._name, waited_s)
                self._end_process(with_jvm=True)
                return
            if waited_s >= reminder_s:
                logger.warning("%s: waiting for %s, since %.0f s", self._name, what, waited_s)
                reminder_s += max(reminder_s, _FIRST_REMINDER_S * 2)

    def _end_process(self, *, with_jvm: bool) -> None:
        time.sleep(_ANSWER_S)
        if self._end is not None:
            self._end(self.exit_code, with_jvm=with_jvm)


def _handle_in_jvm(name: str, handler: Any) -> Any:
    """Replace the JVM's handler for a signal, and return the one that it had."""
    gateway: Any = SparkContext._gateway
    java_gateway.ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
    jvm_signal: Any = gateway.jvm.sun.misc.Signal
    return jvm_signal.handle(jvm_signal(name), handler)


class _JvmSignalHandler:
    """A ``sun.misc.SignalHandler``, which the JVM calls through py4j."""

    def __init__(self, owner: StopSignal) -> None:
        self._owner = owner

    def handle(self, jvm_signal: Any) -> None:
        """Pass the signal on to the owner."""
        self._owner.request(f"SIG{jvm_signal.getName()}")

    class Java:
        """The Java interfaces of this class, in the form that py4j expects."""

        implements = ["sun.misc.SignalHandler"]  # noqa: RUF012  py4j reads it so
