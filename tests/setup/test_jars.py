"""The pinned jars are complete or not, are fetched once, and a failure says what to do."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lib.errors import SetupError
from lib.setup.jars import IVY_FILE, OPTIONAL_SETS, JarSet, fetch_jars, is_complete, list_jars
from lib.setup.places import PROJECT_ROOT

S3_PINS = IVY_FILE.with_name("ivy-s3.xml")
# (file with pins, one of its sets)
SETS = [
    *((IVY_FILE, name) for name in JarSet),
    *((IVY_FILE.with_name(f"ivy-{name}.xml"), name) for name in OPTIONAL_SETS),
]


def read_dependencies(conf: str, pins: Path = IVY_FILE) -> list[dict[str, str]]:
    tree = ET.parse(pins)  # noqa: S314  own file
    rows = [dict(element.attrib) for element in tree.iter("dependency")]
    return [row for row in rows if row["conf"] == f"{conf}->default"]


def copy_jars(target: Path, jar_set: JarSet = JarSet.CONNECTOR) -> None:
    (target / jar_set).mkdir(parents=True)
    for jar in list_jars(jar_set):
        (target / jar_set / jar.name).symlink_to(jar)


@pytest.mark.parametrize("jar_set", list(JarSet))
def test_every_pinned_jar_is_there_and_no_other(jar_set: JarSet) -> None:
    pinned = sorted(f"{row['name']}-{row['rev']}.jar" for row in read_dependencies(jar_set))
    assert [jar.name for jar in list_jars(jar_set)] == pinned


@pytest.mark.parametrize(("pins", "jar_set"), SETS)
def test_every_pin_is_exact_and_alone(pins: Path, jar_set: str) -> None:
    assert read_dependencies(jar_set, pins)
    for row in read_dependencies(jar_set, pins):
        assert row["transitive"] == "false", row["name"]
        assert re.fullmatch(r"\d[\w.-]*", row["rev"]), row["name"]


def list_jars_of_pyspark() -> dict[str, str]:
    """Return name → version of pyspark's jars."""
    spec = importlib.util.find_spec("pyspark")
    assert spec is not None
    assert spec.origin is not None
    jars = (Path(spec.origin).parent / "jars").glob("*.jar")
    return dict(jar.stem.rsplit("-", 1) for jar in jars)


@pytest.mark.parametrize(("pins", "jar_set"), [(IVY_FILE, "connector"), (S3_PINS, "s3")])
def test_what_comes_beside_spark_repeats_no_jar_of_pyspark(pins: Path, jar_set: str) -> None:
    present = list_jars_of_pyspark()
    assert "spark-core_2.13" in present
    ours = {row["name"] for row in read_dependencies(jar_set, pins)}
    assert ours & present.keys() == set()


def test_the_file_system_on_s3_is_of_the_hadoop_that_spark_brings() -> None:
    revisions = {row["name"]: row["rev"] for row in read_dependencies("s3", S3_PINS)}
    assert revisions["hadoop-aws"] == list_jars_of_pyspark()["hadoop-client-api"]


def test_jars_that_are_there_are_not_fetched_again() -> None:
    assert is_complete()
    assert fetch_jars() is False


def test_jars_of_other_pins_count_as_missing(tmp_path: Path) -> None:
    copy_jars(tmp_path)
    (tmp_path / ".complete").write_text("made from other pins\n")
    assert not is_complete(tmp_path)
    with pytest.raises(SetupError, match=r"the connector jars .* are not in .*run `make setup`"):
        list_jars(JarSet.CONNECTOR, tmp_path)


def test_missing_jars_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"the broker jars .* are not in .*run `make setup`"):
        list_jars(JarSet.BROKER, tmp_path)


def test_offline_the_error_is_one_clear_line_and_nothing_is_left(tmp_path: Path) -> None:
    # Nobody listens at this proxy, which is like having no network.
    offline = "-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=9"
    program = (
        "import sys; from pathlib import Path; from lib.setup.jars import fetch_jars;"
        "from lib.errors import SetupError; root = Path(sys.argv[1])\n"
        "try: fetch_jars(root / 'jars', root / 'cache')\n"
        "except SetupError as error: print(error)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=PROJECT_ROOT,
        env=os.environ | {"JAVA_TOOL_OPTIONS": offline},
        check=True,
    )
    assert run.stdout.startswith(f"Ivy could not fetch the jars of {IVY_FILE}: ")
    assert run.stdout.endswith("(check the line to Maven Central, then run the command again)\n")
    assert len(run.stdout.splitlines()) == 1
    assert not (tmp_path / "jars").exists()


def test_the_connector_is_that_of_the_installed_spark() -> None:
    pins = (PROJECT_ROOT / "requirements" / "runtime.txt").read_text()
    spark = re.search(r"^pyspark==(\S+)$", pins, re.MULTILINE)
    assert spark is not None
    connector = f"org.apache.spark:spark-sql-kafka-0-10_2.13:{spark[1]}"
    assert connector in (PROJECT_ROOT / "conf" / "spark-defaults.conf").read_text()
    assert f"pyspark=={spark[1]}" in (PROJECT_ROOT / "setup.cfg").read_text()
    revisions = {row["name"]: row["rev"] for row in read_dependencies("connector")}
    assert revisions["spark-sql-kafka-0-10_2.13"] == spark[1]
    assert revisions["spark-token-provider-kafka-0-10_2.13"] == spark[1]
