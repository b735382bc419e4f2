"""One broker of a cluster: its process, its folder and its address."""

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
from lib.tools.broker.configuration import PLAIN_LISTENER, Address
from lib.tools.broker.kafka_process import LOG_FILE, launch_kafka
from lib.tools.broker.ports import LOOPBACK
from lib.waiting import wait_until

logger = logging.getLogger(__name__)

#: Kafka flushes and closes its logs on SIGTERM; past this it is killed.
STOP_TIMEOUT_S = 15.0
#: How much of the broker's log an error message shows.
LOG_TAIL_LINES = 20


@dataclass(frozen=True)
class Place:
    """Where a broker runs.

    Attributes:
        host: the address that it listens on.
        launcher: a command that goes before Java's, such as one that enters a network of its own;
            it becomes the program that it starts, so that both have one pid.
    """

    host: str = LOOPBACK
    launcher: tuple[str, ...] = ()


class Node:
    """A broker that can be started and ended any number of times, on one address and one folder.

    Args:
        address: where it listens.
        place: where it runs.
        folder: with its settings; gets its data and its log.
        jars: of Kafka.
        watch: is told the pid of each process, and None when that has ended.
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
        """Start the process; :meth:`await_answer` tells when it serves."""
        self._process = launch_kafka(self.folder, self._jars, self._place.launcher)
        self._watch(self._process.pid)
        logger.debug("embedded broker pid=%d folder=%s", self._process.pid, self.folder)

    def await_answer(self, cluster_id: str, brokers: set[int], timeout_s: float) -> None:
        """Wait until it answers clients and knows the other brokers.

        Args:
            cluster_id: of the cluster that it must belong to.
            brokers: node ids that it must name to clients, its own among them.
            timeout_s: how long this may take.

        Raises:
            SetupError: it does not, or ends; the message ends with the last lines of its log.
        """
        # One client for all attempts; it must stay in a variable, or its answers die with it.
        admin = AdminClient(
            {
                "bootstrap.servers": self.server,
                # Refused connections are expected here and not worth a line on standard error.
                "log_level": 0,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
            }
        )

        def answers() -> bool:
            if self.pid is None:
                raise self.explain("it ended at once")
            if not self._is_listening():  # spare the client its failures
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
        """An error that says what happened and shows the end of the log."""
        return SetupError(
            f"the embedded broker did not start on {self.server}: {reason}",
            hint=f"the last lines of its log are:\n{self.read_log_tail()}",
        )

    def _is_listening(self) -> bool:
        port = self.address.ports[PLAIN_LISTENER]
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            return client.connect_ex((self.address.host, port)) == 0
