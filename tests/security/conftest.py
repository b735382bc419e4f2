"""Provide a broker as a company runs it: TLS, passwords, and no rights that were not granted."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from lib.kafka.cluster import Cluster
from lib.kafka.topics import create_topics
from tests.end_to_end.jobs import Deployment
from tests.security.cluster import SecureBroker, User, revoke_all


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Provide the authority that signs the broker's certificate."""
    return trustme.CA()


@pytest.fixture(scope="session")
def secure_broker(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureBroker]:
    """Run a broker with TLS, SCRAM and ACLs; its plain listener is for the administrator."""
    folder = tmp_path_factory.mktemp("certificates")
    with SecureBroker.start(authority, folder) as running:
        yield running


@pytest.fixture
def user(secure_broker: SecureBroker) -> Iterator[User]:
    """Provide the job's user, who has no rights yet, and revoke what the test grants."""
    yield secure_broker.job_user
    revoke_all(secure_broker)


@pytest.fixture
def secure_deployment(secure_broker: SecureBroker, checkpoint: Path) -> Deployment:
    """Provide a query on the secure broker for one test, with new topics and no models yet."""
    suffix = uuid.uuid4().hex[:8]
    names = {kind: f"{kind}-{suffix}" for kind in ("input", "output", "dead")}
    for kind, name in names.items():
        config = {"max.message.bytes": "2097152"} if kind == "dead" else None
        create_topics(Cluster(secure_broker.admin_servers), {name: 2}, config)
    return Deployment(
        bootstrap_servers=secure_broker.bootstrap_servers,
        input_topic=names["input"],
        output_topic=names["output"],
        dead_letter_topic=names["dead"],
        store=Path("no-models"),
        checkpoint=checkpoint,
        query_name=f"query-{suffix}",
    )
