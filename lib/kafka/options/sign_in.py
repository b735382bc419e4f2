"""Decides by which mechanism clients sign in, and writes the login of Java's. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lib.errors import SettingsError
from lib.kafka.options.librdkafka_list import ALIASES

OAUTH = "OAUTHBEARER"
KERBEROS = "GSSAPI"

_SASL_PROTOCOLS = ("SASL_PLAINTEXT", "SASL_SSL")
_SECURITY = "org.apache.kafka.common.security"
_MODULES = {
    "PLAIN": f"{_SECURITY}.plain.PlainLoginModule",
    "SCRAM-SHA-256": f"{_SECURITY}.scram.ScramLoginModule",
    "SCRAM-SHA-512": f"{_SECURITY}.scram.ScramLoginModule",
}
_OAUTH_MODULE = f"{_SECURITY}.oauthbearer.OAuthBearerLoginModule"
_OAUTH_HANDLER = f"{_SECURITY}.oauthbearer.OAuthBearerLoginCallbackHandler"
# Mechanisms that some clusters want and that no library of the job knows → what is needed instead.
_REFUSED = {
    "AWS_MSK_IAM": "librdkafka does not know it, and Java needs the jar aws-msk-iam-auth; let the"
    " cluster take SCRAM-SHA-512 or client certificates too, as Amazon MSK can",
}
_OTHERS = f"{', '.join(_MODULES)} or {OAUTH}"


def find_mechanism(options: Mapping[str, str]) -> str | None:
    """Return the mechanism by which clients sign in; None if they do not, or none is named."""
    if not _is_sasl(options):
        return None
    return options.get("sasl.mechanism", options.get("sasl.mechanisms"))


def check_mechanism(options: Mapping[str, str]) -> None:
    """Refuse a mechanism that is missing or not supported, and OAuth without its method.

    Raises:
        SettingsError: clients could not sign in; the error says what would be needed.
    """
    mechanism = find_mechanism(options)
    if mechanism is None and _is_sasl(options):
        raise SettingsError(
            f"--kafka security.protocol={options['security.protocol']} without sasl.mechanism, for"
            " which clients take Kerberos",
            hint=f"name the mechanism of the cluster's listener: {_OTHERS}",
        )
    if mechanism in _REFUSED:
        raise SettingsError(
            f"--kafka sasl.mechanism={mechanism} is not supported", hint=_REFUSED[mechanism]
        )
    is_unsecured = options.get("enable.sasl.oauthbearer.unsecure.jwt") == "true"
    if mechanism == OAUTH and options.get("sasl.oauthbearer.method") != "oidc" and not is_unsecured:
        raise SettingsError(
            f"--kafka sasl.mechanism={OAUTH} without sasl.oauthbearer.method=oidc: nothing says"
            " where tokens come from",
            hint="give the method, sasl.oauthbearer.token.endpoint.url,"
            " sasl.oauthbearer.client.id and sasl.oauthbearer.client.secret",
        )


def write_java_login(options: Mapping[str, str]) -> dict[str, str]:
    """Return Java's options for signing in, from those of librdkafka.

    Raises:
        SettingsError: Java has no form for them.
    """
    mechanism = find_mechanism(options)
    username, password = options.get("sasl.username"), options.get("sasl.password")
    if "sasl.jaas.config" in options:
        login = {}
    elif mechanism == OAUTH and options.get("sasl.oauthbearer.method") == "oidc":
        login = {
            "sasl.jaas.config": _write_jaas(_OAUTH_MODULE, dict(_iter_oauth(options))),
            "sasl.login.callback.handler.class": _OAUTH_HANDLER,
        }
    elif mechanism in _MODULES and username is not None and password is not None:
        user = {"username": username, "password": password}
        login = {"sasl.jaas.config": _write_jaas(_MODULES[mechanism], user)}
    elif mechanism is not None:
        raise SettingsError(
            f"--kafka sasl.mechanism={mechanism} without a login that Spark's Java client knows",
            hint=f"give sasl.jaas.config as well; only {_OTHERS} are translated",
        )
    else:
        login = {}
    return login if mechanism is None else {**login, "sasl.mechanism": mechanism}


def _is_sasl(options: Mapping[str, str]) -> bool:
    return options.get("security.protocol", "").upper() in _SASL_PROTOCOLS


def _iter_oauth(options: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Iterate over the options of the JAAS line for client credentials.

    Raises:
        SettingsError: tokens are to come in a way that Java's client does not know.
    """
    prefix = "sasl.oauthbearer."
    given = {ALIASES.get(name, name): value for name, value in options.items()}
    only_librdkafka = sorted(
        name
        for name, value in given.items()
        if name.startswith((f"{prefix}assertion.", f"{prefix}metadata.", "https.ca.pem"))
        or (name == f"{prefix}grant.type" and value != "client_credentials")
    )
    if only_librdkafka:
        raise SettingsError(
            f"--kafka {only_librdkafka[0]}: Spark's Java client gets tokens by client credentials"
            " only",
            hint=f"give {prefix}client.id and {prefix}client.secret, and https.ca.location for the"
            " authority of the token's server; or sasl.jaas.config as well",
        )
    names = {"client.id": "clientId", "client.secret": "clientSecret", "scope": "scope"}
    for name, option in names.items():
        if (value := given.get(prefix + name)) is not None:
            yield option, value
    for pair in filter(None, given.get(f"{prefix}extensions", "").split(",")):
        key, _, value = pair.partition("=")
        yield f"extension_{key.strip()}", value.strip()
    if "https.ca.location" in given:
        yield "ssl.truststore.location", given["https.ca.location"]
        yield "ssl.truststore.type", "PEM"


def _write_jaas(module: str, options: Mapping[str, str]) -> str:
    pairs = "".join(f' {name}="{_quote(value)}"' for name, value in options.items())
    return f"{module} required{pairs};"


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
