"""The makers' own checkers take the files in deploy/: run it with ``make deploy-check``."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from tests.deploy.documents import DEPLOY, DOCKERFILE, KUBERNETES, read_manifest, read_manifests

TOOLS = Path(os.environ["DEPLOY_TOOLS"]).absolute() / "bin"
SCHEMAS = Path(__file__).parent / "schemas"
_TIMEOUT_S = 120


def run_tool(
    name: str, *arguments: str, text: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of the tools' environment."""
    return subprocess.run(
        [str(TOOLS / name), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
        env={**os.environ, **environment},
    )


def test_kubernetes_knows_every_field_of_the_manifests() -> None:
    (listed,) = read_manifests(KUBERNETES / "kustomization.yaml")
    files = [str(KUBERNETES / name) for name in listed["resources"]]

    done = run_tool("kubernetes-validate", "--strict", *files)

    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count(" passed for resource ") == 7


@pytest.mark.parametrize("part", ["driverSpec", "executorSpec"])
def test_kubernetes_knows_every_field_of_the_operators_pods(part: str, tmp_path: Path) -> None:
    template = read_manifest("SparkApplication")["spec"][part]["podTemplateSpec"]
    for container in template["spec"]["containers"]:
        # Spark sets it.
        container["image"] = "churn-scoring:0.1.0"
    pod = tmp_path / "pod.json"
    pod.write_text(
        json.dumps(
            {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "p"}}
            | {"template": template}
        )
    )

    done = run_tool("kubernetes-validate", "--strict", str(pod))

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["SparkApplication", "ServiceMonitor"])
def test_operators_know_every_field_of_their_resources(kind: str) -> None:
    code = "import json, jsonschema, sys; jsonschema.validate(*json.load(sys.stdin))"
    schema = json.loads((SCHEMAS / f"{kind.lower()}.json").read_text())
    resource = read_manifest(kind)

    done = run_tool("python", "-c", code, text=json.dumps([resource, schema]))
    assert done.returncode == 0, done.stderr

    resource["spec"]["nobodyKnows"] = 1
    done = run_tool("python", "-c", code, text=json.dumps([resource, schema]))
    assert "nobodyKnows" in done.stderr


def test_compose_takes_its_file() -> None:
    code = (
        "import compose_spec, sys\n"
        "file = compose_spec.PyCompose.from_json(sys.stdin.read())\n"
        "file.validate()\n"
        "print(*file.service_names())"
    )
    (compose,) = read_manifests(DEPLOY / "compose.yaml")

    done = run_tool("python", "-c", code, text=json.dumps(compose))

    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == [
        *("job", "kafka-1", "kafka-2", "kafka-3", "load", "model", "prometheus", "topics"),
    ]


def test_the_linter_of_dockerfiles_has_no_objection() -> None:
    done = run_tool("hadolint", str(DOCKERFILE))

    assert (done.returncode, done.stdout) == (0, "")


# It imports the file as Airflow does, and renders the commands with the defaults and a new version.
RENDER = """
import json, runpy, sys
dag = runpy.run_path(sys.argv[1])["dag"]
params = dag.params.dump()
told = type("", (), {"xcom_pull": lambda self, task_ids: "churn@8"})()
environment = dag.get_template_env()
print(json.dumps({
    name: {
        "next": sorted(task.downstream_task_ids),
        "command": environment.from_string(task.bash_command).render(
            params=params, ti=told, ds="2026-11-30"
        ),
    }
    for name, task in dag.task_dict.items()
}))
"""


def test_airflow_imports_the_dag_and_its_commands_are_the_jobs_own(tmp_path: Path) -> None:
    dag = DEPLOY / "airflow" / "scoring.py"

    done = run_tool("python", "-c", RENDER, str(dag), AIRFLOW_HOME=str(tmp_path))

    assert done.returncode == 0, done.stderr
    tasks = json.loads(done.stdout.splitlines()[-1])
    assert {name: task["next"] for name, task in tasks.items()} == {
        "train": ["compare"],
        "compare": ["promote"],
        "promote": ["replay"],
        "replay": [],
    }
    jobs = {}
    for name, task in tasks.items():
        begin, _, command = task["command"].partition("; cd ")
        assert begin == "set -euo pipefail"
        words = shlex.split(command.partition("; ")[2].partition(" | ")[0])
        job, options = words[1], words[2:]
        load_settings(JOB_SETTINGS[Path(job).stem], options, {})
        jobs[name] = [job, *options[:2]]
    assert jobs == {
        "train": ["jobs/train.py", "--data", "/srv/data/customers.csv"],
        "compare": ["jobs/models.py", "compare", "churn@champion"],
        "promote": ["jobs/models.py", "promote", "churn@8"],
        "replay": ["jobs/replay.py", "--model", "churn@8"],
    }


def test_the_task_that_trains_gives_the_version_that_was_saved(tmp_path: Path) -> None:
    """Its line about the folder is read by sed."""
    code = "import runpy, sys; print(runpy.run_path(sys.argv[1])['TRAIN'].rpartition('| ')[2])"
    done = run_tool(
        "python", "-c", code, str(DEPLOY / "airflow" / "scoring.py"), AIRFLOW_HOME=str(tmp_path)
    )
    printed = "scores\nsaved        /srv/models/churn/12\nchampion     churn@11\n"

    found = subprocess.run(
        ["bash", "-c", done.stdout.splitlines()[-1]],
        input=printed,
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout == "churn@12\n"
