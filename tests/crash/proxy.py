"""Stand between the job and the brokers, and do to connections what networks do.

The proxy reads the framing of Kafka's protocol on the way to the broker: four bytes of length, two
of api key (https://kafka.apache.org/protocol#protocol_common). It passes answers on as they come.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Any, Self

from lib.setup.machine import LOOPBACK

_CHUNK_BYTES = 256 * 1024
# The broker has this much time to act on a request whose response will be lost.
_LOST_RESPONSE_S = 0.5
_HEADER_BYTES = 4
_API_KEY_BYTES = 2


class Action(StrEnum):
    """Actions of the proxy on a request."""

    DELAY = "delay"  # the request arrives late
    HOLD = "hold"  # the request arrives late, even if the client has given up and gone
    LOSE_REQUEST = "lose request"  # the connection ends before the request arrives
    # The broker acts on the request, the connection ends before the answer.
    LOSE_RESPONSE = "lose response"
    STRAY = "stray"  # the connection ends at once, the request arrives later


# After these actions the broker has acted on the request, but the client has no answer.
_WITHOUT_ANSWER = (Action.LOSE_RESPONSE, Action.STRAY)


@dataclass(frozen=True)
class Interference:
    """An action that happens once, to the next request of a kind.

    Attributes:
        api_key: api key of the request.
        action: action of the proxy.
        duration_s: length of a delay, or time until a stray request arrives.
    """

    api_key: int
    action: Action
    duration_s: float = 0.0


def read_api_key(frame: bytes) -> int:
    """Return the api key of a whole request, which begins with its length."""
    return int.from_bytes(frame[_HEADER_BYTES : _HEADER_BYTES + _API_KEY_BYTES], "big")


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Read the next whole request.

    Raises:
        asyncio.IncompleteReadError: the client has gone.
    """
    header = await reader.readexactly(_HEADER_BYTES)
    return header + await reader.readexactly(int.from_bytes(header, "big"))


class Proxy:
    """A proxy that listens on a port for each broker and passes everything on by default.

    It takes its own ports before the brokers start, because they advertise these ports; it learns
    the brokers' ports after that.

    Args:
        brokers: number of brokers.
    """

    def __init__(self, brokers: int = 1) -> None:
        self.requests: Counter[int] = Counter()
        self.interfered: list[int] = []  # ports of the clients whose requests met an interference
        self.delivered: list[int] = []  # api keys of stray requests that the broker has acted on
        self._upstream_ports: Sequence[int] = (0,) * brokers
        self._is_refusing = False
        self._interferences: list[Interference] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._is_delivery_due = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        self._thread.start()
        for broker in range(len(self._upstream_ports)):
            serve = partial(self._serve, broker)
            self._servers.append(self._call(asyncio.start_server(serve, LOOPBACK, 0)))
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._servers:
            self._loop.call_soon_threadsafe(server.close)
        self._call(self._end_connections())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def port(self) -> int:
        """The port to which clients of the first broker connect."""
        return self.ports[0]

    @property
    def ports(self) -> list[int]:
        """The ports to which clients connect, one for each broker, in their order."""
        return [server.sockets[0].getsockname()[1] for server in self._servers]

    def connect_to(self, *ports: int) -> None:
        """Take the brokers' ports, to which everything is passed on."""
        self._upstream_ports = ports

    def interfere(self, interference: Interference) -> None:
        """Carry out an interference at the next request of its kind."""
        self._loop.call_soon_threadsafe(self._is_delivery_due.clear)
        self._interferences.append(interference)

    def deliver(self) -> None:
        """Deliver stray requests now, before their time."""
        self._loop.call_soon_threadsafe(self._is_delivery_due.set)

    def calm(self) -> None:
        """Forget interferences that no request has met, and let everything pass."""
        self._interferences.clear()
        self._is_refusing = False
        self._loop.call_soon_threadsafe(self._is_open.set)

    def refuse(self) -> None:
        """End all connections and refuse new ones, until :meth:`calm`."""
        self._is_refusing = True
        self._loop.call_soon_threadsafe(self._abort_connections)

    def hold(self) -> None:
        """Accept connections and bytes, but pass nothing on, until :meth:`calm`."""
        self._loop.call_soon_threadsafe(self._is_open.clear)

    def _call(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _abort_connections(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _end_connections(self) -> None:
        self._abort_connections()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(
        self, broker: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._is_refusing:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            upstream = await asyncio.open_connection(LOOPBACK, self._upstream_ports[broker])
        except OSError:  # the broker is down, and the client must see just that
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(upstream[1])
        back = asyncio.ensure_future(self._pass_back(upstream[0], writer))

        def cut_client() -> None:
            back.cancel()
            writer.transport.abort()

        try:
            with suppress(asyncio.IncompleteReadError, OSError):
                client_port = writer.get_extra_info("peername")[1]
                await self._pass_on(reader, upstream[1], back.cancel, cut_client, client_port)
        finally:
            back.cancel()
            for each in (writer, upstream[1]):
                self._writers.discard(each)
                each.close()

    async def _pass_on(
        self,
        reader: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
        mute: Callable[[], Any],
        cut_client: Callable[[], Any],
        client_port: int,
    ) -> None:
        """Pass requests on one by one, until one of them ends the connection."""
        while True:
            frame = await read_frame(reader)
            await self._is_open.wait()
            self.requests[read_api_key(frame)] += 1
            interference = self._take(read_api_key(frame), client_port)
            match interference:
                case Interference(action=Action.LOSE_REQUEST):
                    return
                case Interference(action=Action.LOSE_RESPONSE):
                    mute()
                case Interference(action=Action.STRAY, duration_s=duration_s):
                    cut_client()
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._is_delivery_due.wait(), duration_s)
                case Interference(duration_s=duration_s):
                    await asyncio.sleep(duration_s)
            upstream.write(frame)
            await upstream.drain()
            if interference is not None and interference.action in _WITHOUT_ANSWER:
                await asyncio.sleep(_LOST_RESPONSE_S)
                if interference.action is Action.STRAY:
                    self.delivered.append(interference.api_key)
                return

    async def _pass_back(
        self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            while chunk := await upstream.read(_CHUNK_BYTES):
                await self._is_open.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()  # the broker has gone

    def _take(self, api_key: int, client_port: int) -> Interference | None:
        for interference in self._interferences:
            if interference.api_key == api_key:
                self._interferences.remove(interference)
                self.interfered.append(client_port)
                return interference
        return None
