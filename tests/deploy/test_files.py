"""The files in deploy/ say what the code says: settings, exit codes, times, ports and versions."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pyspark
import pytest

from lib import __version__
from lib.exit_codes import EXIT_CODES
from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from lib.setup.jars import PAGE_SET
from lib.setup.launch import read_spark_defaults
from lib.setup.memory import GIB, MemoryLimit, judge_memory
from lib.setup.places import PROJECT_ROOT
from tests.deploy.documents import (
    DEPLOY,
    KUBERNETES,
    UNIT,
    list_instructions,
    read_manifest,
    read_manifests,
    read_unit,
)

STOP_TIMEOUT_S = 60
GRACE_S = 90
METRICS_PORT = 9464
ENTRYPOINT = DEPLOY / "docker" / "entrypoint.sh"


def load_job_settings(arguments: list[str], tmp_path: Path) -> ScoreStreamSettings:
    """Load the settings of the config map as the job in a pod would, with secrets of the test."""
    secrets = tmp_path / "secrets.toml"
    secrets.write_text(read_manifest("Secret")["stringData"]["secrets.toml"])
    secrets.chmod(0o440)
    text = read_manifest("ConfigMap")["data"]["score.toml"]
    mounted = tmp_path / "score.toml"
    mounted.write_text(text.replace("/etc/scoring/secrets/secrets.toml", str(secrets)))
    words = [str(mounted) if it == "/etc/scoring/settings/score.toml" else it for it in arguments]
    return load_settings(ScoreStreamSettings, words, {})


def test_the_job_takes_the_settings_of_the_manifests(tmp_path: Path) -> None:
    pod = read_manifest("Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    script, *arguments = container["args"]

    settings = load_job_settings(arguments, tmp_path)

    assert script == "jobs/score_stream.py"
    assert settings.metrics == f"0.0.0.0:{METRICS_PORT}"
    assert settings.stop_timeout == STOP_TIMEOUT_S
    assert settings.kafka["sasl.password"] == "CHANGE"
    mounts = {it["mountPath"] for it in container["volumeMounts"]}
    assert {str(Path(settings.checkpoint).parent), str(settings.store)} <= mounts

    operator = read_manifest("SparkApplication")["spec"]
    settings = load_job_settings(operator["driverArgs"], tmp_path)
    assert settings.commit == "executor"
    assert operator["pyFiles"] == "local:///srv/scoring/jobs/score_stream.py"


def test_every_supervisor_waits_longer_than_the_job_takes_to_stop() -> None:
    assert ScoreStreamSettings().stop_timeout == STOP_TIMEOUT_S
    assert GRACE_S == STOP_TIMEOUT_S + 30
    pod = read_manifest("Deployment")["spec"]["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == GRACE_S
    driver = read_manifest("SparkApplication")["spec"]["driverSpec"]["podTemplateSpec"]["spec"]
    assert driver["terminationGracePeriodSeconds"] == GRACE_S
    (compose,) = read_manifests(DEPLOY / "compose.yaml")
    assert compose["services"]["job"]["stop_grace_period"] == f"{GRACE_S}s"
    assert read_unit()["TimeoutStopSec"] == str(GRACE_S)


def test_the_unit_restarts_what_the_table_of_exit_codes_says() -> None:
    unit = read_unit()

    assert unit["Restart"] == "on-failure"
    assert unit["RestartPreventExitStatus"].split() == ["2", "4", "5"]
    left_alone = {*unit["RestartPreventExitStatus"].split(), *unit["SuccessExitStatus"].split()}
    assert left_alone | {"0"} == {str(it.code.value) for it in EXIT_CODES if not it.restarts}


def test_the_unit_has_no_setting_that_systemd_252_ignores() -> None:
    assert not {"RestartSteps", "RestartMaxDelaySec"} & read_unit().keys()


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze")
    text = UNIT.read_text()
    assert "/srv/churn-scoring/spark-submit.sh" in text
    # It looks whether the program exists.
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace("/srv/churn-scoring/spark", f"{PROJECT_ROOT}/spark"))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_pod_is_restricted_and_probes_what_the_job_serves() -> None:
    deployment = read_manifest("Deployment")["spec"]
    pod = deployment["template"]["spec"]
    (container,) = pod["containers"]

    assert (deployment["replicas"], deployment["strategy"]) == (1, {"type": "Recreate"})
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 54321
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    paths = {it: container[it]["httpGet"]["path"] for it in container if it.endswith("Probe")}
    assert paths == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    assert container["ports"] == [{"name": "metrics", "containerPort": METRICS_PORT}]
    # The default of spark.driver.memory on two cores.
    assert container["resources"]["limits"] == {"memory": "4Gi", "cpu": "2"}
    limit = MemoryLimit(4 * GIB, "the container has")
    assert judge_memory(limit, heap=2 * GIB, cores=2).severity.name == "OK"


def test_resources_find_each_other_by_name_and_label() -> None:
    deployment = read_manifest("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    service, budget = read_manifest("Service"), read_manifest("PodDisruptionBudget")
    monitor = read_manifest("ServiceMonitor")["spec"]

    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert monitor["selector"]["matchLabels"] == service["metadata"]["labels"]
    assert [it["port"] for it in monitor["endpoints"]] == [service["spec"]["ports"][0]["name"]]
    # The alerts watch jobs whose names hold this word; the Prometheus operator takes the service's.
    assert "scoring" in service["metadata"]["name"]
    for pod in (
        deployment["spec"]["template"]["spec"],
        read_manifest("SparkApplication")["spec"]["driverSpec"]["podTemplateSpec"]["spec"],
    ):
        mounted = {it["name"] for it in pod["containers"][0]["volumeMounts"]}
        assert mounted == {it["name"] for it in pod["volumes"]}
    claims = {it["metadata"]["name"] for it in read_manifests(KUBERNETES / "volumes.yaml")}
    assert claims == {"churn-scoring-checkpoint", "churn-scoring-models"}


def test_kustomize_lists_what_needs_no_operator() -> None:
    (listed,) = read_manifests(KUBERNETES / "kustomization.yaml")
    files = {it.name for it in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}

    assert {*listed["resources"], "servicemonitor.yaml", "sparkapplication.yaml"} == files


def test_the_operators_application_has_the_delivered_settings_of_spark() -> None:
    spec = read_manifest("SparkApplication")["spec"]
    delivered = read_spark_defaults()
    # The image has the connector.
    del delivered["spark.jars.packages"]

    assert delivered.items() <= spec["sparkConf"].items()
    assert spec["runtimeVersions"]["sparkVersion"] == pyspark.__version__


def test_compose_runs_three_brokers_and_commands_that_exist() -> None:
    (compose,) = read_manifests(DEPLOY / "compose.yaml")
    services = compose["services"]
    brokers = [services[f"kafka-{number}"] for number in (1, 2, 3)]

    assert [it["environment"]["KAFKA_NODE_ID"] for it in brokers] == ["1", "2", "3"]
    for broker in brokers:
        assert broker["environment"]["KAFKA_MIN_INSYNC_REPLICAS"] == "2"
        assert broker["environment"]["KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR"] == "3"
    for name in ("topics", "job", "load"):
        words = [it for it in services[name]["command"] if it != "python"]
        variables = services[name]["environment"]
        load_settings(JOB_SETTINGS[Path(words[0]).stem], words[1:], variables)
        assert services[name]["read_only"] is True
    (source, _, _) = services["prometheus"]["volumes"][0].split(":")
    assert source == "../conf/monitoring/alerts.yml"
    assert (DEPLOY / source).is_file()


def test_the_image_is_made_of_files_that_exist_and_runs_as_a_number() -> None:
    instructions = list_instructions()
    copied = [it.split()[:-1] for name, it in instructions if name == "COPY" and "--from" not in it]
    variables = [it for name, it in instructions if name == "ENV"]

    for sources in copied:
        for source in sources:
            assert (PROJECT_ROOT / source).exists(), source
    assert [it for name, it in instructions if name == "USER"] == ["54321"]
    assert [it for name, it in instructions if name == "EXPOSE"] == [str(METRICS_PORT)]
    assert f"SCORE_METRICS=0.0.0.0:{METRICS_PORT}" in variables[0]
    (check,) = (it for name, it in instructions if name == "HEALTHCHECK")
    assert f"http://127.0.0.1:{METRICS_PORT}/health/live" in check
    stages = [it for name, it in instructions if name == "FROM"]
    assert stages == ["python:3.11-slim-bookworm AS base", "base AS build", "base"]


def test_what_fetches_the_jars_needs_no_more_than_what_is_copied_before(tmp_path: Path) -> None:
    """The step comes before the code, which changes more often."""
    instructions = list_instructions()
    (fetch,) = (it for it, (_, text) in enumerate(instructions) if "lib.setup.jars" in text)
    copied: list[str] = []
    for name, text in instructions[:fetch]:
        if name == "COPY":
            *sources, target = text.split()
            copied += sources
            for source in sources:
                path = PROJECT_ROOT / source
                goal = tmp_path / target
                if path.is_dir():
                    shutil.copytree(path, goal, dirs_exist_ok=True)
                else:
                    goal.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, goal)
    own = {name: it for name, it in os.environ.items() if name != "PYTHONPATH"}

    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r});"
            "import lib.setup.jars as jars; print(jars.__file__)",
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=own,
    )

    assert done.stdout == f"{tmp_path}/lib/setup/jars.py\n", done.stderr
    assert {"conf/ivy.xml", f"conf/ivy-{PAGE_SET}.xml"} <= {*copied}


def test_nothing_secret_and_no_rubbish_gets_into_the_image() -> None:
    ignored = (PROJECT_ROOT / ".dockerignore").read_text().splitlines()

    assert {".git", ".venv", "build", "models", "checkpoints", "**/secrets*.toml"} <= {*ignored}
    assert not {"README.md", "LICENSE", "conf", "lib", "jobs", "requirements"} & {*ignored}


def test_the_entry_point_runs_the_projects_python() -> None:
    command = [str(ENTRYPOINT), "python", "jobs/topics.py", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")

    assert done.returncode == 0, done.stderr
    assert "Create the topics of the streaming job" in done.stdout


def test_the_entry_point_gives_a_user_id_a_name() -> None:
    library = [*Path("/usr/lib").glob("*/libnss_wrapper.so")]
    if os.geteuid() != 0 or not library or shutil.which("setpriv") is None:
        pytest.skip("it needs root, setpriv and Debian's package libnss-wrapper")
    nobody = ["setpriv", "--reuid", "54322", "--regid", "54322", "--clear-groups"]
    # Other users may not enter the folders of the tests.
    with tempfile.TemporaryDirectory() as root:
        entrypoint = Path(root) / "deploy" / "docker" / "entrypoint.sh"
        python = Path(root) / ".venv" / "bin" / "python"
        for path in (entrypoint, python):
            path.parent.mkdir(parents=True)
        shutil.copy(ENTRYPOINT, entrypoint)
        python.write_text("#!/bin/sh\nexec id -un\n")
        python.chmod(0o755)
        Path(root).chmod(0o755)

        done = subprocess.run(
            [*nobody, str(entrypoint), "python"], capture_output=True, text=True, check=False
        )

    assert (done.returncode, done.stdout) == (0, "scoring\n"), done.stderr


def test_versions_that_stand_in_several_files_agree() -> None:
    spark = read_manifest("SparkApplication")["spec"]["sparkConf"]
    image = read_manifest("Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]

    assert spark["spark.kubernetes.container.image"] == image
    assert image == f"churn-scoring:{__version__}"
    brokers = re.search(r"apache/kafka:([\d.]+)", (DEPLOY / "compose.yaml").read_text())
    assert brokers is not None
    assert f"kafka_2.13-{brokers[1]}" in " ".join(
        it.name for it in (PROJECT_ROOT / "build" / "jars" / "broker").glob("kafka_*.jar")
    )
