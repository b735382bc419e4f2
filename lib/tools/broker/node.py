"""Starts and ends the process of one broker of a cluster."""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.errors import SetupError
from lib.setup.machine import LOOPBACK
from lib.tools.broker.configuration import PLAIN_LISTENER, Address
from lib.tools.broker.kafka_process import LOG_FILE, launch_kafka
from lib.waiting import wait_until

logger = logging.getLogger(__name__)

#: Kafka flushes and closes its logs on SIGTERM; after this time it is killed.
STOP_TIMEOUT_S = 15.0
#: The number of lines of the broker's log in an error message.
LOG_TAIL_LINES = 20


@dataclass(frozen=True)
class Place:
    """The place where a broker runs.

    Attributes:
        host: the address that it listens on.
        launcher: a command that is put before Java's, such as one that enters a network namespace.
            It has to replace itself by the program that it starts, so that both have one pid.
    """

    host: str = LOOPBACK
    launcher: tuple[str, ...] = ()


class Node:
    """A broker that can be started and ended any number of times, with one address and one folder.

    Args:
        address: the address that it listens on.
        place: the place where it runs.
        folder: the folder with its settings, where it puts its data and its log.
        jars: the jars of Kafka.
        watch: a function that gets the pid of each process, and None when it has ended.
    """

    def __init__(
        self,
        address: Address,
        place: Place,
        folder: Path,
        jars: Sequence[Path],
        watch: Callable[[int | None], None],
    ) -> None:
        self.address = address
        self.folder = folder
        self._place = place
        self._jars = jars
        self._watch = watch
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> str:
        """The address of the plain listener, ``host:port``."""
        return f"{self.address.host}:{self.address.ports[PLAIN_LISTENER]}"

    @property
    def pid(self) -> int | None:
        """The broker's process id, or None while it does not run."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def launch(self) -> None:
        """Start the process; :meth:`await_answer` waits until it serves clients."""
        self._process = launch_kafka(self.folder, self._jars, self._place.launcher)
        self._watch(self._process.pid)
        logger.debug("embedded broker pid=%d folder=%s", self._process.pid, self.folder)

    def await_answer(self, cluster_id: str, brokers: set[int], timeout_s: float) -> None:
        """Wait until the broker answers clients and knows the other brokers.

        Args:
            cluster_id: the id of the cluster that it must belong to.
            brokers: the node ids that it must name to clients, its own among them.
            timeout_s: the longest wait.

        Raises:
            SetupError: the broker does not answer, or ends; the message has the end of its log.
        """
        # The client stays in a variable, because its answers are lost with it.
        admin = AdminClient(
            {
                "bootstrap.servers": self.server,
                # Refused connections are expected, and need no line on standard error.
                "log_level": 0,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
            }
        )

        def answers() -> bool:
            if self.pid is None:
                raise self.explain("it ended at once")
            if not self._is_listening():  # the client would wait after a failure
                return False
            with suppress(KafkaException):
                cluster = admin.list_topics(timeout=1.0)
                # The client declares the id as None, whatever it is.
                found = cast("str | None", cluster.cluster_id)
                # With another id, the broker of somebody else won the race for the port.
                return brokers <= cluster.brokers.keys() and found == cluster_id
            return False

        if not wait_until(answers, timeout_s):
            raise self.explain(f"it did not answer within {timeout_s:.0f} s")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process, if it runs."""
        if self._process is not None:
            self._process.send_signal(number)

    def await_end(self) -> None:
        """Wait for the end of the process that was told to end; kill it if it takes too long."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            logger.warning("broker does not end, killing it pid=%d", process.pid)
            process.kill()
            process.wait()
        self._watch(None)

    def read_log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """Return the last lines of its log, over all its starts."""
        log = self.folder / LOG_FILE
        if not log.exists():
            return ""
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def explain(self, reason: str) -> SetupError:
        """Build an error with a reason and the end of the log."""
        return SetupError(
            f"the embedded broker did not start on {self.server}: {reason}",
            hint=f"the last lines of its log are:\n{self.read_log_tail()}",
        )

    def _is_listening(self) -> bool:
        port = self.address.ports[PLAIN_LISTENER]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            return client.connect_ex((self.address.host, port)) == 0
