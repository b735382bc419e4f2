"""Checks what the machine, or the container, must have for Spark and Kafka to start at all."""

from __future__ import annotations

import os
import pwd
import socket

from lib.errors import SetupError

#: The address at which processes of this machine reach each other.
LOOPBACK = "127.0.0.1"


def check_user() -> None:
    """Check that this process's user has a name, without which Hadoop's login ends a Spark.

    Raises:
        SetupError: the user has none.
    """
    user = os.geteuid()
    try:
        pwd.getpwuid(user)
    except KeyError:
        raise SetupError(
            f"the user id {user} has no name on this machine, and Hadoop, a part of Spark, "
            "starts for no user without one",
            hint=f"add the line `scoring:x:{user}:0::/tmp:/bin/sh` to /etc/passwd, in a "
            "container when its image is built or by its entry point",
        ) from None


def check_loopback() -> None:
    """Check that there is the address at which PySpark reaches its JVM.

    Raises:
        SetupError: there is none, as where the loopback interface has only IPv6.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, 0))
        except OSError as error:
            raise SetupError(
                f"{LOOPBACK}: {error.strerror}, and PySpark reaches its JVM at no other address",
                hint=f"give it to the loopback interface: ip address add {LOOPBACK}/8 dev lo",
            ) from error
