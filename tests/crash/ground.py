"""Provide what a leg needs outside of the job: brokers, and what lies between them and the job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lib.setup.machine import LOOPBACK
from lib.tools.broker import EmbeddedBroker
from lib.tools.broker.configuration import Listener
from tests.crash.network import Member, Network
from tests.crash.proxy import Proxy
from tests.crash.schedule import Site

_PROXIED = "PROXIED"
_BROKERS: Mapping[Site, int] = {
    Site.ONE: 1,
    Site.THREE: 3,
    Site.NETWORK: 3,
    Site.FORGETFUL: 1,
}
# Offsets and transactional ids expire after a minute, and the broker removes them soon.
_SHORT_RETENTION = {
    "offsets.retention.minutes": "1",
    "offsets.retention.check.interval.ms": "5000",
    "transactional.id.expiration.ms": "60000",
    "transaction.remove.expired.transaction.cleanup.interval.ms": "5000",
}


@dataclass(frozen=True)
class Ground:
    """The brokers and networks around the job.

    Attributes:
        broker: one broker, or a cluster of three.
        proxy: proxy between the job and the brokers; unused where they have networks of their own.
        job_servers: addresses at which the job finds the brokers.
        brokers: networks of the brokers, in their order; empty where they have none of their own.
        jobs: networks of the job that runs, and of the next job, which takes over from it.
    """

    broker: EmbeddedBroker
    proxy: Proxy
    job_servers: str
    brokers: Sequence[Member] = ()
    jobs: list[Member] = field(default_factory=list)

    @property
    def job_launcher(self) -> tuple[str, ...]:
        """The command that goes before the job's own command."""
        return self.jobs[0].launcher if self.jobs else ()

    def move_job(self) -> Member:
        """Let later starts of the job be in the other network, and return that network."""
        self.jobs.reverse()
        return self.jobs[0]


@contextmanager
def open_ground(site: Site, jars: Sequence[Path]) -> Iterator[Ground]:
    """Start the brokers of a site, and end them with the ``with`` block.

    Args:
        site: the site, which says how many brokers there are, and where.
        jars: jars of another version of Kafka than that in ``conf/ivy.xml``; none for that version.

    Raises:
        NoNetworksError: the site needs network namespaces, and there are none here.
        SetupError: the brokers do not start.
    """
    count = _BROKERS[site]
    settings = _SHORT_RETENTION if site is Site.FORGETFUL else {}
    with ExitStack() as stack:
        if site is Site.NETWORK:
            members = stack.enter_context(Network(count + 2)).members
            brokers, jobs = members[:count], list(members[count:])
            places = [member.place for member in brokers]
            proxy = stack.enter_context(Proxy(count))
            broker = stack.enter_context(EmbeddedBroker(settings, places=places, jars=jars))
            yield Ground(broker, proxy, broker.bootstrap_servers, brokers, jobs)
            return
        proxy = stack.enter_context(Proxy(count))
        listener = Listener(_PROXIED, advertised_ports=proxy.ports)
        broker = stack.enter_context(
            EmbeddedBroker(settings, brokers=count, listeners=[listener], jars=jars)
        )
        proxy.connect_to(*(broker.port_of(_PROXIED, it) for it in broker.node_ids))
        yield Ground(broker, proxy, ",".join(f"{LOOPBACK}:{port}" for port in proxy.ports))
