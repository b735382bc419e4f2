"""Run the job on a real YARN, in both deploy modes: ``.venv/bin/python -m tests.yarn``.

``--records 600000 --only onnx`` measures how much memory containers need.

The broker has TLS and passwords, the checkpoint is on HDFS, executors run in containers. The files
that the job's options name, and the model, are moved away as soon as spark-submit has returned, so
a driver in a container reads only what was sent.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyspark
import trustme

from lib.kafka.cluster import Cluster
from lib.kafka.secrets import is_secret
from lib.kafka.topics import create_topics
from lib.setup.places import PROJECT_ROOT
from tests.end_to_end.jobs import Deployment, read_account
from tests.security.cluster import SecureBroker, grant, rights_of
from tests.support.stored_models import provide_store
from tests.support.topics import Record, build_customers, produce
from tests.yarn.cluster import YarnCluster
from tests.yarn.memory import MemoryWatch

_BATCH = 100_000
_EXECUTOR_CORES = 2
# The heap of each JVM is fixed; its container may use this much beyond it, which is measured.
_HEAP = "1g"
_OVERHEAD = "2g"
_TIMEOUT_S = 500.0


@dataclass(frozen=True)
class Run:
    """A way to start the job.

    Attributes:
        name: name in the report.
        mode: deploy mode.
        options: options of the job.
    """

    name: str
    mode: str
    options: tuple[str, ...] = ()


RUNS = (
    Run("cluster mode, sql", "cluster"),
    Run(
        "cluster mode, onnx, commits on the executors",
        "cluster",
        ("--backend", "onnx", "--commit", "executor"),
    ),
    Run("client mode, onnx", "client", ("--backend", "onnx")),
)


def write_settings(broker: SecureBroker, deployment: Deployment, folder: Path) -> None:
    """Write the job's settings and its secrets to files, as an operator does."""
    values = deployment.values(max_offsets_per_trigger=_BATCH)
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in values.items()]
    options = broker.options()
    shown = {key: value for key, value in options.items() if not is_secret(key)}
    lines += ["[kafka]\n", *(f"{json.dumps(k)} = {json.dumps(v)}\n" for k, v in shown.items())]
    (folder / "job's settings.toml").write_text("".join(lines))
    secrets = folder / "job's secrets.toml"
    secrets.touch(0o600)
    hidden = {key: value for key, value in options.items() if is_secret(key)}
    secrets.write_text("".join(f"{json.dumps(k)} = {json.dumps(v)}\n" for k, v in hidden.items()))


def pack_link(folder: Path) -> Path:
    """Pack a small environment that finds its packages in this environment.

    The whole environment has 12,000 files, and without Hadoop's native library YARN starts a
    process for each. ``tests/tools/deploy`` shows that the whole environment is complete.
    """
    packages = sysconfig.get_path("purelib")
    home = os.path.realpath(sys.executable)
    light = folder / "environment"
    library = light / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    library.mkdir(parents=True)
    (library / "here.pth").write_text(f"{packages}\n")
    (light / "bin").mkdir()
    (light / "bin" / "python").symlink_to(home)
    (light / "pyvenv.cfg").write_text(f"home = {Path(home).parent}\n")
    archive = folder / "environment.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(light, ".")
    return archive


def build_command(
    run: Run, own: Path, environment: Path | None
) -> tuple[list[str], dict[str, str]]:
    """Return the command of spark-submit, and variables for its environment."""
    conf = {
        # On this machine there is no need to upload Spark itself.
        "spark.yarn.jars": f"local:{Path(pyspark.__file__).parent}/jars/*",
        "spark.yarn.submit.waitAppCompletion": "false",
        "spark.executor.instances": "1",
        "spark.executor.cores": str(_EXECUTOR_CORES),
        "spark.executor.memory": _HEAP,
        "spark.executor.memoryOverhead": _OVERHEAD,
        "spark.driver.memory": _HEAP,
        "spark.driver.memoryOverhead": _OVERHEAD,
        "spark.ui.enabled": "false",
    }
    options = ["--master", "yarn", "--deploy-mode", run.mode]
    if environment is not None:
        options += ["--archives", f"{environment}#environment"]
    variables = {}
    if run.mode == "client":
        variables = {
            "PYSPARK_PYTHON": "./environment/bin/python",
            "PYSPARK_DRIVER_PYTHON": sys.executable,
        }
    pairs = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    command = [str(PROJECT_ROOT / "spark-submit.sh"), *options, *pairs, "jobs/score_stream.py"]
    files = ["--config", str(own / "job's settings.toml")]
    files += ["--kafka-secrets", str(own / "job's secrets.toml")]
    return [*command, *files, *run.options], variables


def submit(
    run: Run, cluster: YarnCluster, own: Path, folder: Path, sent: Path | None
) -> tuple[str, str]:
    """Do one run from an empty folder; return its final state, and what was printed here."""
    command, variables = build_command(run, own, sent)
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HADOOP_CONF_DIR": str(cluster.conf_folder), **variables}
    empty = folder / "empty"
    empty.mkdir()
    done = subprocess.run(
        command,
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    taken_away = own.with_name("taken away")
    own.rename(taken_away)
    try:
        state = cluster.await_end() if done.returncode == 0 else f"exit {done.returncode}"
    finally:
        taken_away.rename(own)
        empty.rmdir()
    return state, done.stdout + done.stderr


def deploy(broker: SecureBroker, number: int, store: Path, hdfs: str) -> Deployment:
    """Give a query its own topics and rights."""
    deployment = Deployment(
        broker.bootstrap_servers,
        f"input-{number}",
        f"output-{number}",
        f"dead-{number}",
        store,
        Path(hdfs),
        f"query-{number}",
    )
    for topic, config in (
        (deployment.input_topic, {}),
        (deployment.output_topic, {}),
        (deployment.dead_letter_topic, {"max.message.bytes": "2097152"}),
    ):
        create_topics(Cluster(broker.admin_servers), {topic: 2}, config)
    grant(broker, rights_of(deployment, delivery="exactly-once", executors_commit=True))
    return deployment


def try_run(
    run: Run,
    number: int,
    count: int,
    broker: SecureBroker,
    cluster: YarnCluster,
    folder: Path,
    environment: Path | None,
) -> dict[str, int]:
    """Do one run over this many records, print the result, and return its faults."""
    own = folder / "own"
    own.mkdir()
    shutil.copytree(provide_store(), own / "models")
    shutil.copy2(broker.certificate, own / "authority.pem")
    deployment = deploy(broker, number, own / "models", f"checkpoints/{number}")
    broker = replace(broker, certificate=own / "authority.pem")
    write_settings(broker, deployment, own)
    records: list[Record] = build_customers(count, bad_share=0.02, seed=number)
    produce(broker.admin_servers, deployment.input_topic, records)
    started_s = time.monotonic()
    with MemoryWatch(cluster.pid) as watch:
        state, printed = submit(run, cluster, own, folder, environment)
    watch.check()
    account = read_account(deployment, records, broker.admin_servers)
    print(
        f"{run.name}: {state}, {len(account.predictions)} predictions and"
        f" {len(account.dead_letters)} dead letters of {len(records)} records,"
        f" faults {account.faults or 0}, {time.monotonic() - started_s:.0f} s",
        flush=True,
    )
    for role, usage in watch.peaks.items():
        print(
            f"  {role}: {usage.total:.0f} MiB, of which the JVM {usage.jvm:.0f}"
            f" and {usage.processes} Python processes {usage.python:.0f}",
            flush=True,
        )
    shutil.rmtree(own)
    faults = dict(account.faults)
    if state != "SUCCEEDED":
        print(printed[-3000:], cluster.read_logs()[-6000:], sep="\n", flush=True)
        faults[state] = 1
    return faults


def main(arguments: Sequence[str]) -> int:
    """Do all runs, or those whose names contain ``--only``; return 1 if anything was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.yarn", description=__doc__)
    parser.add_argument("--only", default="", help="a part of a run's name")
    parser.add_argument("--records", type=int, default=2_000, help="of each run")
    parser.add_argument("--whole", action="store_true", help="send the whole Python environment")
    chosen = parser.parse_args(arguments)
    faults: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="yarn-") as scratch:
        folder = Path(scratch)
        with (
            SecureBroker.start(trustme.CA(), folder) as broker,
            YarnCluster(folder / "cluster") as cluster,
        ):
            # In cluster mode the wrapper packs the whole environment if none is named.
            environment = None if chosen.whole else pack_link(folder)
            for number, run in enumerate(it for it in RUNS if chosen.only in it.name):
                faults |= try_run(run, number, chosen.records, broker, cluster, folder, environment)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
