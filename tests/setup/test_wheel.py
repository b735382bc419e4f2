"""The wheel works in a new environment, beside a project that has its own package ``lib``."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from lib import __version__
from lib.setup.places import BUILD_ROOT, PROJECT_ROOT
from lib.tools.broker import Broker
from tests.conftest import TopicFactory
from tests.docs.documents import iter_blocks
from tests.support.topics import produce, read_topic

# This program copies a topic twice: with commits on the driver, and by a Python function with
# commits on executors. The driver imports the project's `lib`, and so do the workers of that
# function.
_PROGRAM = """
import sys
from dataclasses import replace

import pyarrow as pa
from pyspark.sql import functions as F

from lib.errors import sign
from spark_kafka_scoring.messages.columns import HEADERS_ARROW

servers, source, by_driver, by_executor, checkpoints = sys.argv[1:]


def copy_signed(batches):
    from lib.errors import sign

    for batch in batches:
        yield pa.RecordBatch.from_pydict(
            {
                "topic": pa.repeat(by_executor, batch.num_rows),
                "key": batch["source_key"],
                "value": [sign(value.as_py()) for value in batch["source_value"]],
                "headers": pa.nulls(batch.num_rows, HEADERS_ARROW),
                "source_topic": batch["source_topic"],
                "source_partition": batch["source_partition"],
                "source_offset": batch["source_offset"],
            }
        )


def drain(settings, select, *function):
    sink = ExactlyOnceSink(spark, settings).start()
    messages = select(sink.read_stream())
    sink.write_stream(messages, *function).trigger(availableNow=True).start().awaitTermination()
    sink.close()


def select_signed(records):
    return records.select(
        F.lit(by_driver).alias("topic"),
        F.col("source_key").alias("key"),
        F.concat("source_value", F.lit(sign(b""))).alias("value"),
        "source_partition",
        "source_offset",
    )


settings = ExactlyOnceSettings(
    bootstrap_servers=servers,
    query_name=f"{source}-driver",
    source_topic=source,
    checkpoint=f"{checkpoints}/driver",
)
drain(settings, select_signed)
on_executors = replace(
    settings,
    query_name=f"{source}-executor",
    checkpoint=f"{checkpoints}/executor",
    commit="executor",
)
drain(on_executors, lambda records: records.drop("source_headers"), copy_signed)
"""


@dataclass(frozen=True)
class Project:
    """A project whose environment has the wheel and the packages that the wheel needs.

    Attributes:
        folder: folder of the project, with a package ``lib``.
        environment: folder of the virtual environment.
    """

    folder: Path
    environment: Path

    @property
    def site_packages(self) -> Path:
        (found,) = self.environment.glob("lib/python*/site-packages")
        return found

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python in the project's folder, as if activated."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "PYSPARK", "SPARK"))
        }
        own = {
            "PATH": f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_SUBMIT_OPTS": "-XX:TieredStopAtLevel=1",
        }
        return subprocess.run(
            [str(self.environment / "bin" / "python"), *arguments],
            cwd=self.folder,
            env=kept | own | variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder, environment = tmp_path / "project", tmp_path / "environment"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "__init__.py").touch()
    (folder / "lib" / "errors.py").write_text("def sign(value):\n    return value + b' signed'\n")
    (folder / "copy_topic.py").write_text(read_documented_imports() + _PROGRAM)

    wheel = build_wheel(tmp_path / "dist")
    run_python("-m", "venv", "--without-pip", str(environment))
    python = str(environment / "bin" / "python")
    run_pip("--python", python, "install", "--no-deps", "--no-index", str(wheel))
    made = Project(folder, environment)
    # This adds the folder of the big packages, but not what `.pth` files in it add: the clone's own
    # `lib`.
    (made.site_packages / "others.pth").write_text(sysconfig.get_path("purelib"))
    return made


def read_documented_imports() -> str:
    (block,) = (b for b in iter_blocks("docs/exactly_once_sink.md", "python") if b.mark == "wheel")
    return block.text


def build_wheel(folder: Path) -> Path:
    run_pip(
        *("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)),
        str(PROJECT_ROOT),
    )
    (wheel,) = folder.iterdir()
    return wheel


def run_pip(*arguments: str) -> None:
    run_python("-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def run_python(*arguments: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_project_with_a_lib_of_its_own_copies_a_topic_exactly_once(
    project: Project, broker: Broker, topic: TopicFactory
) -> None:
    source, targets = topic(2), (topic(1), topic(2))
    program = [
        *("copy_topic.py", broker.bootstrap_servers, source, *targets),
        str(project.folder / "checkpoints"),
    ]
    cache = project.folder / "cache" / "spark_kafka_scoring" / __version__

    # Only the project has a `lib`, and the jars have to be fetched.
    found = project.run("-P", "-c", "import importlib.util as u; print(u.find_spec('lib'))")
    assert found.stdout == "None\n", found.stderr
    missing = project.run(*program)
    assert missing.stderr.splitlines()[-1] == (
        "spark_kafka_scoring.errors.SetupError: the connector jars of conf/ivy.xml are not in"
        f" {cache}/jars/connector (run `python -m spark_kafka_scoring.setup.jars`)"
    )
    cache.mkdir(parents=True)
    (cache / "ivy-cache").symlink_to(BUILD_ROOT / "ivy-cache")
    fetched = project.run("-m", "spark_kafka_scoring.setup.jars")
    assert f"jars in {cache}/jars (connector: 5, broker: " in fetched.stdout, fetched.stderr

    # For driver and workers, the project comes first on the path, and then the wheel does.
    produce(broker.bootstrap_servers, source, make_records(0, 40))
    done = project.run(*program)
    assert done.returncode == 0, done.stderr
    produce(broker.bootstrap_servers, source, make_records(40, 60))
    path = os.pathsep.join([str(project.site_packages), str(project.folder)])
    done = project.run(*program, PYTHONPATH=path, PYTHONSAFEPATH="1")
    assert done.returncode == 0, done.stderr

    for target in targets:
        messages = read_topic(broker.bootstrap_servers, target)
        assert Counter((m.key(), m.value()) for m in messages) == Counter(
            (f"k{number}".encode(), f"record {number} signed".encode()) for number in range(60)
        )


def make_records(first: int, last: int) -> list[tuple[bytes, bytes]]:
    return [(f"k{number}".encode(), f"record {number}".encode()) for number in range(first, last)]
