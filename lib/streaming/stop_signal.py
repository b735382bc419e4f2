"""Turns SIGTERM and Ctrl-C into a request to stop after the batch under way."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from pyspark import java_gateway
from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)

_SIGNALS = {"INT": signal.SIGINT, "TERM": signal.SIGTERM}


class StopSignal:
    """Catches both signals in both processes while it is open.

    Under spark-submit the process that gets SIGTERM is the JVM, whose answer would be to exit at
    once, in the middle of a batch; Ctrl-C at a terminal reaches both. So the JVM's handlers are
    replaced by ones that call back into Python.

    Args:
        spark: gives the JVM.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self._requested = threading.Event()
        self._python_handlers: dict[int, Any] = {}
        self._jvm_handlers: dict[str, Any] = {}

    @property
    def is_requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._requested.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait for a request; True if there is one."""
        return self._requested.wait(timeout_s)

    def request(self, name: str) -> None:
        """Ask for the stop, as a signal does."""
        if not self._requested.is_set():
            logger.info("stopping after the batch under way signal=%s", name)
        self._requested.set()

    def __enter__(self) -> Self:
        for name, number in _SIGNALS.items():
            self._python_handlers[number] = signal.signal(number, self._on_python_signal)
            self._jvm_handlers[name] = self._handle_in_jvm(name, _JvmSignalHandler(self))
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._python_handlers.items():
            signal.signal(number, handler)
        for name, handler in self._jvm_handlers.items():
            self._handle_in_jvm(name, handler)

    def _on_python_signal(self, number: int, frame: FrameType | None) -> None:
        self.request(signal.Signals(number).name)

    def _handle_in_jvm(self, name: str, handler: Any) -> Any:
        gateway: Any = self._spark.sparkContext._gateway
        java_gateway.ensure_callback_server_started(gateway)  # type: ignore[no-untyped-call]
        jvm_signal: Any = gateway.jvm.sun.misc.Signal
        return jvm_signal.handle(jvm_signal(name), handler)


class _JvmSignalHandler:
    """sun.misc.SignalHandler, called by the JVM through py4j."""

    def __init__(self, owner: StopSignal) -> None:
        self._owner = owner

    def handle(self, jvm_signal: Any) -> None:
        """Pass the JVM's signal on."""
        self._owner.request(f"SIG{jvm_signal.getName()}")

    class Java:
        """What py4j asks for."""

        implements = ["sun.misc.SignalHandler"]  # noqa: RUF012  py4j reads it so
