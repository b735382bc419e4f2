"""Run the secure broker with its users, and grant or revoke their rights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography.hazmat.primitives import serialization

from lib.kafka.rights import Right, list_rights
from lib.setup.launch import lend_variables
from lib.setup.machine import LOOPBACK
from lib.tools.broker import EmbeddedBroker, Listener
from lib.tools.broker.ports import pick_free_ports
from tests.end_to_end.jobs import Deployment
from tests.security.token_server import AUDIENCE, TokenServer
from tests.support.waiting import wait_until

ANSWER_TIMEOUT_S = 20.0
_LISTENER = "SECURE"
_OAUTH = "OAUTH"
_SECURITY = "org.apache.kafka.common.security"
_LOGIN = f"{_SECURITY}.scram.ScramLoginModule required;"
_OAUTH_LOGIN = f"{_SECURITY}.oauthbearer.OAuthBearerLoginModule required;"
_OAUTH_CHECK = f"{_SECURITY}.oauthbearer.OAuthBearerValidatorCallbackHandler"
# A broker's JVM reads keys only from the places that this property allows.
_ALLOWED = "org.apache.kafka.sasl.oauthbearer.allowed.urls"
_RESOURCES = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional id": ResourceType.TRANSACTIONAL_ID,
    "cluster": ResourceType.BROKER,
}


@dataclass(frozen=True)
class User:
    """A user who signs in by SCRAM."""

    name: str
    password: str

    @property
    def principal(self) -> str:
        """The user's name as Kafka writes it."""
        return f"User:{self.name}"


@dataclass(frozen=True)
class SecureBroker:
    """A broker with TLS, SCRAM-SHA-512, OAuth and ACLs.

    Attributes:
        admin_servers: address of the plain listener, whose clients may do everything.
        bootstrap_servers: address of the listener with TLS and passwords.
        certificate: certificate, in PEM, of the authority that signed the broker's certificate.
        job_user: user with whose name the job signs in.
        tokens: server that gives tokens to the job's user, whose password is the client's secret.
        servers: addresses of the other listeners, for clients that come to the wrong one: with TLS
            alone, with an expired certificate, with one of another host, with client certificates
            alone, with passwords and no TLS, with TLS and tokens, and one whose advertised port is
            closed.
    """

    admin_servers: str
    bootstrap_servers: str
    certificate: Path
    job_user: User
    tokens: TokenServer
    servers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def start(cls, authority: trustme.CA, folder: Path) -> Iterator[Self]:
        """Run a secure broker with its keys in ``folder``."""
        certificate = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(certificate))
        valid = authority.issue_cert(LOOPBACK)
        begin, end = (datetime(year, 1, 1, tzinfo=UTC) for year in (2020, 2021))
        certificates = {
            _LISTENER: valid,
            _OAUTH: valid,
            "TLS": valid,
            "MUTUAL": valid,
            "EXPIRED": authority.issue_cert(LOOPBACK, not_before=begin, not_after=end),
            "ELSEWHERE": authority.issue_cert("kafka.example.org"),
        }
        # The password is unlike any other text, so that a search for it finds nothing else.
        user = User("churn-job", 'Zq7"x\\V=correct-horse')
        settings = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # Anonymous clients come by the plain listener, or are the broker itself.
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.mutual.ssl.client.auth": "required",
        }
        for name in (_LISTENER, "PASSWORD"):
            settings[f"listener.name.{name.lower()}.scram-sha-512.sasl.jaas.config"] = _LOGIN
        for name, issued in certificates.items():
            key = folder / f"{name.lower()}.pem"
            key.write_bytes(as_pkcs8(issued))
            settings[f"listener.name.{name.lower()}.ssl.keystore.type"] = "PEM"
            settings[f"listener.name.{name.lower()}.ssl.keystore.location"] = str(key)
        protocols = {
            **dict.fromkeys(certificates, "SSL"),
            _LISTENER: "SASL_SSL",
            _OAUTH: "SASL_SSL",
            "PASSWORD": "SASL_PLAINTEXT",
        }
        (closed,) = pick_free_ports(1)
        nowhere = Listener("NOWHERE", advertised_ports=[closed])
        with TokenServer.start(authority, folder, user.name, user.password) as tokens:
            keys = tokens.key_set.as_uri()
            broker = EmbeddedBroker(
                {**settings, **_accept_tokens(keys)},
                listeners=[*(Listener(*pair) for pair in protocols.items()), nowhere],
                scram_users={user.name: user.password},
            )
            # Other processes of Java must not get it, or their clients get no token.
            with lend_variables({"JAVA_TOOL_OPTIONS": f"-D{_ALLOWED}={keys}"}):
                broker.start()
            try:
                names = (*protocols, nowhere.name)
                servers = {name: f"{LOOPBACK}:{broker.port_of(name)}" for name in names}
                secure = servers.pop(_LISTENER)
                yield cls(broker.bootstrap_servers, secure, certificate, user, tokens, servers)
            finally:
                broker.stop()

    def options(self, **changes: str) -> dict[str, str]:
        """Return the job's ``--kafka`` options; names of changes have ``_`` instead of ``.``."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": self.job_user.name,
            "sasl.password": self.job_user.password,
            "ssl.ca.location": str(self.certificate),
            **{name.replace("_", "."): value for name, value in changes.items()},
        }

    def oauth_options(self, **changes: str) -> dict[str, str]:
        """Return what the job gets to sign in with tokens; changes have ``_`` for ``.``."""
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": self.tokens.url,
            "sasl.oauthbearer.client.id": self.job_user.name,
            "sasl.oauthbearer.client.secret": self.job_user.password,
            "sasl.oauthbearer.scope": "scoring",
            "https.ca.location": str(self.certificate),
            "ssl.ca.location": str(self.certificate),
            **{name.replace("_", "."): value for name, value in changes.items()},
        }


def _accept_tokens(keys: str) -> dict[str, str]:
    """Return the settings of the listener with tokens, for the URL of the keys that sign them."""
    prefix = f"listener.name.{_OAUTH.lower()}"
    return {
        f"{prefix}.sasl.enabled.mechanisms": "OAUTHBEARER",
        f"{prefix}.oauthbearer.sasl.jaas.config": _OAUTH_LOGIN,
        f"{prefix}.oauthbearer.sasl.server.callback.handler.class": _OAUTH_CHECK,
        f"{prefix}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": keys,
        f"{prefix}.oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
    }


def as_pkcs8(certificate: trustme.LeafCert) -> bytes:
    """Return key and chain in PEM, the key in the only form that Java reads."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), password=None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    parts = [key.private_bytes(*form, serialization.NoEncryption())]
    return b"".join([*parts, *(blob.bytes() for blob in certificate.cert_chain_pems)])


def rights_of(deployment: Deployment, **choices: Any) -> tuple[Right, ...]:
    """Return the rights that a job needs; the choices are those of ``list_rights``."""
    return list_rights(
        input_topic=deployment.input_topic,
        output_topic=deployment.output_topic,
        dead_letter_topic=deployment.dead_letter_topic,
        query_name=deployment.query_name,
        **choices,
    )


def grant(broker: SecureBroker, rights: Iterable[Right]) -> None:
    """Give rights to the job's user."""
    admin = AdminClient({"bootstrap.servers": broker.admin_servers})
    bindings = [
        AclBinding(
            _RESOURCES[right.kind],
            right.name,
            ResourcePatternType.PREFIXED if right.is_prefix else ResourcePatternType.LITERAL,
            broker.job_user.principal,
            "*",
            AclOperation[right.operation],
            AclPermissionType.ALLOW,
        )
        for right in rights
    ]
    for answer in admin.create_acls(bindings, request_timeout=ANSWER_TIMEOUT_S).values():
        answer.result()
    # The broker that checks the rights gets them from the controller a moment later.
    wait_until(lambda: set(bindings) <= set(list_acls(broker)))


def list_acls(broker: SecureBroker) -> list[AclBinding]:
    """Return the rights that the job's user has."""
    admin = AdminClient({"bootstrap.servers": broker.admin_servers})
    asked = _everything_of(broker.job_user)
    return list(admin.describe_acls(asked, request_timeout=ANSWER_TIMEOUT_S).result())


def revoke_all(broker: SecureBroker) -> None:
    """Take all rights away from the job's user."""
    admin = AdminClient({"bootstrap.servers": broker.admin_servers})
    asked = [_everything_of(broker.job_user)]
    for answer in admin.delete_acls(asked, request_timeout=ANSWER_TIMEOUT_S).values():
        answer.result()
    wait_until(lambda: not list_acls(broker))


def _everything_of(user: User) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]  # None stands for any name
        ResourcePatternType.ANY,
        user.principal,
        None,  # type: ignore[arg-type]  # None stands for any host
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
