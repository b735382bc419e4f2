"""A broker as a company runs it: TLS, passwords, and nobody may do what was not granted."""

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
    """Signs the broker's certificate."""
    return trustme.CA()


@pytest.fixture(scope="session")
def secure_broker(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecureBroker]:
    """One broker with TLS, SCRAM and ACLs. Its plain listener is the administrator's."""
    folder = tmp_path_factory.mktemp("certificates")
    with SecureBroker.start(authority, folder) as running:
        yield running


@pytest.fixture
def user(secure_broker: SecureBroker) -> Iterator[User]:
    """The job's user, who may do nothing yet; what a test grants is taken away again."""
    yield secure_broker.job_user
    revoke_all(secure_broker)


@pytest.fixture
def secure_deployment(secure_broker: SecureBroker, checkpoint: Path) -> Deployment:
    """A query of one test's own on the secure broker, with fresh topics and no models yet."""
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
