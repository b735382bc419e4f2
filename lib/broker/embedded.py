"""A real Kafka broker for demo, tests and benchmarks: one KRaft node in a temporary folder."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from lib.broker.configuration import (
    PLAIN_LISTENER,
    Listener,
    build_configuration,
    write_properties,
)
from lib.broker.guarded_folder import GuardedFolder
from lib.broker.kafka_process import (
    LOG_FILE,
    SETTINGS_FILE,
    format_storage,
    launch_kafka,
    make_cluster_id,
)
from lib.broker.ports import LOOPBACK, is_free, pick_free_ports
from lib.errors import SetupError

logger = logging.getLogger(__name__)

#: A start takes 3 s; a loaded machine for continuous integration gets twenty times that.
START_TIMEOUT_S = 60.0
#: Kafka flushes and closes its logs on SIGTERM; past this it is killed.
STOP_TIMEOUT_S = 15.0
#: How often a start that lost its port to another process is tried, each time with other ports.
START_ATTEMPTS = 3
#: How much of the broker's log an error message shows.
LOG_TAIL_LINES = 20

_POLL_INTERVAL_S = 0.05


class EmbeddedBroker:
    """A single-node Kafka broker, owned by this process.

    Guarantees:
        - ``start`` returns only when the broker answers clients.
        - ``stop`` ends it by its own pid and removes its folder. So does the death of this process,
          however it dies (see ``lib.broker.guard``).
        - ``kill`` and ``restart`` keep port and data, as a broker that crashes and comes back does.
        - It listens on 127.0.0.1 only, and Ctrl-C at the terminal does not reach it: this process
          decides.

    Args:
        settings: broker settings on top of those in ``lib.broker.configuration``.
        start_timeout_s: how long a start may take.
        listeners: further addresses, such as one with TLS or one that is advertised as a proxy's.
        scram_users: user → password, for listeners with SCRAM-SHA-512.

    Example:
        with EmbeddedBroker() as broker:
            create_topics(broker.bootstrap_servers, {"events": 4})
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        start_timeout_s: float = START_TIMEOUT_S,
        listeners: Sequence[Listener] = (),
        scram_users: Mapping[str, str] | None = None,
    ) -> None:
        self._settings = dict(settings or {})
        self._start_timeout_s = start_timeout_s
        self._listeners = tuple(listeners)
        self._scram_users = dict(scram_users or {})
        self._home: GuardedFolder | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ports: Mapping[str, int] = {}
        self._cluster_id = ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, ``host:port``; ``kill`` and ``restart`` do not change it."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def port(self) -> int:
        """The port on 127.0.0.1."""
        return self.port_of(PLAIN_LISTENER)

    def port_of(self, listener: str) -> int:
        """The port that a listener listens on; what it advertises may be another."""
        self._require_home()
        return self._ports[listener]

    @property
    def folder(self) -> Path:
        """The temporary folder with settings, data and log."""
        return self._require_home().path

    @property
    def pid(self) -> int | None:
        """The broker's process id, or None while it does not run."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def start(self) -> None:
        """Start a broker with no data on free ports, and wait until it answers.

        Raises:
            SetupError: Java or the jars are missing, or the broker does not come up; then the
                message ends with the last lines of its log.
        """
        if self._home is not None:
            raise SetupError("the embedded broker runs already", hint="call stop() first")
        for attempts_left in reversed(range(START_ATTEMPTS)):
            try:
                self._start_once()
            except BaseException:
                lost_port = "Address already in use" in self.read_log_tail(lines=200)
                self.stop()
                if not (lost_port and attempts_left):
                    raise
                logger.info("another process took the port, trying others")
            else:
                return

    def stop(self) -> None:
        """End the broker and remove its folder. Does nothing when there is none."""
        self._end(signal.SIGTERM)
        if self._home is not None:
            self._home.remove()
        self._home, self._ports = None, {}

    def kill(self) -> None:
        """End the broker at once (SIGKILL), as a crash would, keeping what ``restart`` needs."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start the broker again on the same port and data; end it before, if it runs.

        After ``kill`` this takes about 4 s longer than after a clean end: the controller waits
        until the killed broker's session is over.

        Raises:
            SetupError: it does not come up; the message ends with the last lines of its log.
        """
        self._require_home()
        self._end(signal.SIGTERM)
        self._launch()
        self._await_answer()

    def read_log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """Return the last lines of the broker's log, over all its starts."""
        if self._home is None or not (log := self._home.path / LOG_FILE).exists():
            return ""
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])

    def _start_once(self) -> None:
        self._home = GuardedFolder.create(prefix="churn-broker-")
        names = [PLAIN_LISTENER, *(listener.name for listener in self._listeners)]
        *ports, controller_port = pick_free_ports(len(names) + 1)
        self._ports = dict(zip(names, ports, strict=True))
        configuration = build_configuration(
            self.folder / "data", self._ports, controller_port, self._settings, self._listeners
        )
        write_properties(self.folder / SETTINGS_FILE, configuration)
        self._cluster_id = make_cluster_id()
        exit_code = format_storage(
            self.folder, self._cluster_id, self._start_timeout_s, self._scram_users
        )
        if exit_code != 0:
            raise self._start_error(f"its storage could not be formatted (exit code {exit_code})")
        self._launch()
        self._await_answer()

    def _launch(self) -> None:
        home = self._require_home()
        self._process = launch_kafka(home.path)
        home.watch(self._process.pid)
        logger.debug("embedded broker pid=%d folder=%s", self._process.pid, home.path)

    def _await_answer(self) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        # One client for all attempts; it must stay in a variable, or its answers die with it.
        admin = AdminClient(
            {
                "bootstrap.servers": self.bootstrap_servers,
                # Refused connections are expected here and not worth a line on standard error.
                "log_level": 0,
                "reconnect.backoff.ms": 20,
                "reconnect.backoff.max.ms": 100,
            }
        )
        while time.monotonic() < deadline:
            if self.pid is None:
                raise self._start_error("it ended at once")
            if is_free(self.port):  # nobody listens yet: spare the client its failures
                time.sleep(_POLL_INTERVAL_S)
                continue
            with suppress(KafkaException):
                cluster = admin.list_topics(timeout=1.0)
                # The client declares the id as None, whatever it is.
                found = cast("str | None", cluster.cluster_id)
                # Another id: somebody else's broker won the race for the port.
                if cluster.brokers and found == self._cluster_id:
                    return
        raise self._start_error(f"it did not answer within {self._start_timeout_s:.0f} s")

    def _end(self, by_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(by_signal)  # does nothing when it has ended already
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            logger.warning("broker ignores %s, killing it pid=%d", by_signal.name, process.pid)
            process.kill()
            process.wait()
        if self._home is not None:
            self._home.watch(None)

    def _require_home(self) -> GuardedFolder:
        if self._home is None:
            raise SetupError("the embedded broker has not been started", hint="call start() first")
        return self._home

    def _start_error(self, reason: str) -> SetupError:
        return SetupError(
            f"the embedded broker did not start on {LOOPBACK}:{self.port}: {reason}",
            hint=f"the last lines of its log are:\n{self.read_log_tail()}",
        )
