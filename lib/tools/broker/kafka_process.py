"""Starts the two Java programs of a KRaft broker: one formats its storage, one is the broker."""

from __future__ import annotations

import os
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path

from lib.setup.java import find_java

SETTINGS_FILE = "server.properties"
LOG_FILE = "broker.log"

# A quick start matters more than speed: one compiler tier, the simplest collector, a small heap.
_JVM_OPTIONS = (
    "-Xms128m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    # The statistics file in the system's temporary folder would outlive a killed broker.
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    # This is the level of Log4j's built-in configuration, which writes to standard output.
    "-Dlog4j2.level=INFO",
    # Kafka 3 has Log4j 1, which writes nothing without a configuration.
    f"-Dlog4j.configuration={Path(__file__).with_name('kafka_3_log4j.properties').as_uri()}",
)


def make_cluster_id() -> str:
    """Make a new cluster id in Kafka's form, a UUID in unpadded base64."""
    # The first letter is no dash, which would look like an option.
    return "c" + urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]


def format_storages(
    folders: Sequence[Path],
    cluster_id: str,
    timeout_s: float,
    scram_users: Mapping[str, str],
    jars: Sequence[Path],
) -> list[int]:
    """Format the data folders that ``FOLDER/server.properties`` name, all at once.

    Returns:
        The exit codes, in the order of the folders.
    """
    users = [
        f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in scram_users.items()
    ]
    processes = []
    for folder in folders:
        command = [
            *_java_command(folder, "kafka.tools.StorageTool", jars),
            *("format", "--cluster-id", cluster_id, "--config", str(folder / SETTINGS_FILE)),
            *(part for user in users for part in ("--add-scram", user)),
        ]
        with (folder / LOG_FILE).open("ab") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
    return [process.wait(timeout_s) for process in processes]


def launch_kafka(
    folder: Path, jars: Sequence[Path], launcher: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    """Start the broker that ``folder/server.properties`` describes, with its log in ``folder``.

    Args:
        folder: the folder of the broker.
        jars: the jars of Kafka.
        launcher: a command that is put before Java's.
    """
    command = [
        *launcher,
        *_java_command(folder, "kafka.Kafka", jars),
        str(folder / SETTINGS_FILE),
    ]
    with (folder / LOG_FILE).open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # In its own session the broker gets no Ctrl-C: the owner stops it last.
            start_new_session=True,
        )


def _java_command(folder: Path, main_class: str, jars: Sequence[Path]) -> list[str]:
    return [
        str(find_java().executable),
        *_JVM_OPTIONS,
        # Compression libraries unpack native code there, which is removed with the folder.
        f"-Djava.io.tmpdir={folder}",
        *("-cp", os.pathsep.join(str(jar) for jar in jars)),
        main_class,
    ]
