"""Runs real Kafka brokers, as KRaft nodes in a temporary folder."""

from __future__ import annotations

import logging
import signal
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from lib.errors import SetupError
from lib.kafka.cluster import Cluster
from lib.setup.jars import JarSet, list_jars
from lib.tools.broker.configuration import (
    PLAIN_LISTENER,
    Address,
    Listener,
    build_configuration,
    write_properties,
)
from lib.tools.broker.guarded_folder import GuardedFolder
from lib.tools.broker.kafka_process import SETTINGS_FILE, format_storages, make_cluster_id
from lib.tools.broker.node import LOG_TAIL_LINES, Node, Place
from lib.tools.broker.ports import pick_free_ports

logger = logging.getLogger(__name__)

#: A start takes 3 s; beside 20 other busy processes on two cores it took more than 60 s.
START_TIMEOUT_S = 180.0
#: The number of attempts, with new ports, if another process takes a port meanwhile.
START_ATTEMPTS = 3


class EmbeddedBroker:
    """A Kafka cluster of one broker or more, owned by this process.

    Each node is broker and controller. If there are several, every topic is on all of them, Kafka's
    own topics too, and all but one must have an acknowledged record (``min.insync.replicas``).

    Guarantees:
        - ``start`` returns only when all brokers answer clients and know each other.
        - ``stop`` ends their processes and removes their folder. So does the end of this process,
          even by SIGKILL (see ``lib.tools.broker.guard``).
        - ``kill``, ``shut_down`` and ``restart`` keep ports and data, as brokers that crash and
          come back do. They take node ids, from 1, and by default all nodes.
        - The brokers listen on 127.0.0.1 only, or where ``places`` says. Ctrl-C at the terminal
          does not reach them: only this process ends them.

    Args:
        settings: broker settings on top of those in ``lib.tools.broker.configuration``.
        brokers: the number of brokers.
        start_timeout_s: the time limit of a start.
        listeners: further listeners, such as one with TLS or one whose advertised port is a
            proxy's.
        scram_users: user → password, for listeners with SCRAM-SHA-512.
        places: the place where each broker runs; all on 127.0.0.1 by default.
        jars: the jars of another version of Kafka than that of ``conf/ivy.xml``.

    Example:
        with EmbeddedBroker(brokers=3) as broker:
            create_topics(broker.cluster, {"events": 4})
            broker.kill(2)
            broker.restart(2)
    """

    def __init__(
        self,
        settings: Mapping[str, str] | None = None,
        *,
        brokers: int = 1,
        start_timeout_s: float = START_TIMEOUT_S,
        listeners: Sequence[Listener] = (),
        scram_users: Mapping[str, str] | None = None,
        places: Sequence[Place] = (),
        jars: Sequence[Path] = (),
    ) -> None:
        self._settings = dict(settings or {})
        self._places = tuple(places) or (Place(),) * brokers
        self._start_timeout_s = start_timeout_s
        self._listeners = tuple(listeners)
        self._scram_users = dict(scram_users or {})
        self._jars = tuple(jars)
        self._home: GuardedFolder | None = None
        self._nodes: tuple[Node, ...] = ()
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
        """The addresses for clients, ``host:port[,host:port...]``, which never change."""
        self._require_home()
        return ",".join(node.server for node in self._nodes)

    @property
    def cluster(self) -> Cluster:
        """The brokers for clients that need no options."""
        return Cluster(self.bootstrap_servers)

    @property
    def node_ids(self) -> tuple[int, ...]:
        """The brokers' numbers, from 1, whether they run or not."""
        return tuple(range(1, len(self._places) + 1))

    @property
    def port(self) -> int:
        """The port of the first broker."""
        return self.port_of(PLAIN_LISTENER)

    def port_of(self, listener: str, node_id: int = 1) -> int:
        """Return the port that a listener listens on, which may not be the advertised one."""
        self._require_home()
        return self._nodes[node_id - 1].address.ports[listener]

    @property
    def folder(self) -> Path:
        """The temporary folder, which holds a folder with settings, data and log for each node."""
        return self._require_home().path

    @property
    def pid(self) -> int | None:
        """The first broker's process id, or None while it does not run."""
        return self.pid_of(1)

    def pid_of(self, node_id: int) -> int | None:
        """Return a broker's process id, or None while it does not run."""
        return self._nodes[node_id - 1].pid if self._nodes else None

    def start(self) -> None:
        """Start brokers with no data on free ports, and wait until they answer.

        Raises:
            SetupError: Java or the jars are missing, or a broker does not start; then the message
                ends with the last lines of its log.
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
        """End the brokers and remove their folder. Does nothing when there are none."""
        # The data are not kept, and a broker that has lost the others takes long to end cleanly.
        self._end(signal.SIGKILL, self._nodes)
        if self._home is not None:
            self._home.remove()
        self._home, self._nodes = None, ()

    def kill(self, *node_ids: int) -> None:
        """End brokers at once (SIGKILL), as a crash would; ``restart`` starts them again."""
        self._end(signal.SIGKILL, self._select(node_ids))

    def shut_down(self, *node_ids: int) -> None:
        """End brokers cleanly (SIGTERM), as an operator does; ``restart`` starts them again."""
        self._end(signal.SIGTERM, self._select(node_ids))

    def restart(self, *node_ids: int) -> None:
        """Start brokers again on the same ports and data; end them first if they run.

        After ``kill`` this takes about 4 s longer than after a clean end: the controller waits
        until the killed broker's session has expired.

        Raises:
            SetupError: a broker does not start; the message ends with the last lines of its log.
        """
        self._require_home()
        self.shut_down(*node_ids)
        self._launch(self._select(node_ids))

    def read_log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """Return the last lines of each broker's log, over all its starts."""
        return "\n".join(filter(None, (node.read_log_tail(lines) for node in self._nodes)))

    def _start_once(self) -> None:
        jars = self._jars or tuple(list_jars(JarSet.BROKER))
        home = self._home = GuardedFolder.create(prefix="scoring-broker-")
        self._cluster_id = make_cluster_id()
        addresses = self._choose_addresses()
        nodes = []
        for address, place in zip(addresses, self._places, strict=True):
            name = f"node-{address.node_id}"
            folder = home.path / name
            folder.mkdir()
            configuration = build_configuration(
                folder / "data", address, addresses, self._settings, self._listeners
            )
            write_properties(folder / SETTINGS_FILE, configuration)
            watch = partial(home.watch, name=name)
            nodes.append(Node(address, place, folder, jars, watch))
        self._nodes = tuple(nodes)
        exit_codes = format_storages(
            [node.folder for node in nodes],
            self._cluster_id,
            self._start_timeout_s,
            self._scram_users,
            jars,
        )
        for node, code in zip(nodes, exit_codes, strict=True):
            if code != 0:
                raise node.explain(f"its storage could not be formatted (exit code {code})")
        self._launch(self._nodes)

    def _choose_addresses(self) -> tuple[Address, ...]:
        names = [PLAIN_LISTENER, *(listener.name for listener in self._listeners)]
        count = len(names) + 1
        ports = pick_free_ports(count * len(self._places))
        return tuple(
            Address(
                node_id,
                place.host,
                dict(zip(names, mine, strict=True)),
                controller_port,
            )
            for node_id, place in zip(self.node_ids, self._places, strict=True)
            for *mine, controller_port in [ports[(node_id - 1) * count : node_id * count]]
        )

    def _launch(self, nodes: Sequence[Node]) -> None:
        """Start nodes, and wait until each of them answers and knows all that run."""
        for node in nodes:
            node.launch()
        running = {node.address.node_id for node in self._nodes if node.pid is not None}
        for node in nodes:
            node.await_answer(self._cluster_id, running, self._start_timeout_s)

    def _end(self, by_signal: signal.Signals, nodes: Sequence[Node]) -> None:
        for node in nodes:
            node.signal(by_signal)
        for node in nodes:
            node.await_end()

    def _select(self, node_ids: Sequence[int]) -> tuple[Node, ...]:
        return tuple(it for it in self._nodes if not node_ids or it.address.node_id in node_ids)

    def _require_home(self) -> GuardedFolder:
        if self._home is None:
            raise SetupError("the embedded broker has not been started", hint="call start() first")
        return self._home
