"""The files in conf are true: the settings are the classes' own, the names are the libraries'."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from dataclasses import MISSING, fields
from pathlib import Path

import pyspark
import pytest

from lib.settings.jobs.score_stream import ScoreStreamSettings
from lib.settings.load import load_settings
from lib.settings.registry import JOB_SETTINGS
from tests.docs.documents import ROOT, read_document, render_metrics, render_settings

# A line with a setting that is commented out, like `# trigger = "1 second"`, `# [kafka]` or
# `# "client.id" = "x"`.
_COMMENTED_OUT = re.compile(r'^# (?=\[|"[a-z.]+" = |[a-z_]+ = )', re.MULTILINE)
FILES = ("local", "cluster")


def load(path: Path) -> ScoreStreamSettings:
    return load_settings(ScoreStreamSettings, ["--config", str(path)], {})


def test_local_toml_holds_the_defaults() -> None:
    found = load(ROOT / "conf" / "local.toml").model_dump(exclude={"config"})

    assert found == load_settings(ScoreStreamSettings, [], {}).model_dump(exclude={"config"})


def test_cluster_toml_loads() -> None:
    settings = load(ROOT / "conf" / "cluster.toml")

    assert settings.backend == "sql"
    assert settings.kafka["security.protocol"] == "SASL_SSL"


@pytest.mark.parametrize("name", FILES)
def test_every_setting_stands_in_the_file(name: str, tmp_path: Path) -> None:
    text = _COMMENTED_OUT.sub("", (ROOT / "conf" / f"{name}.toml").read_text())
    everything = tmp_path / "everything.toml"
    everything.write_text(text)

    load(everything)

    # The command line or the environment says where further files are.
    elsewhere = {
        "config",
        "kafka_secrets",
        "contract",
        "preprocessor",
        "console_token_file",
        "outcomes",
    }
    assert tomllib.loads(text).keys() == ScoreStreamSettings.model_fields.keys() - elsewhere


@pytest.mark.parametrize("name", FILES)
def test_what_is_commented_out_is_the_default(name: str) -> None:
    path = ROOT / "conf" / f"{name}.toml"
    defaults = load_settings(ScoreStreamSettings, [], {}).model_dump()
    written = tomllib.loads(path.read_text())
    with_comments = tomllib.loads(_COMMENTED_OUT.sub("", path.read_text()))

    for key in with_comments.keys() - written.keys() - {"kafka"}:
        assert with_comments[key] == defaults[key], key


@pytest.mark.parametrize("job", JOB_SETTINGS)
def test_the_documented_table_of_settings_is_that_of_the_code(job: str) -> None:
    document = read_document("docs/settings.md")

    # To bring the document up to date, run .venv/bin/python -m tests.docs.write_settings
    assert f"## jobs/{job}.py\n\n{render_settings(JOB_SETTINGS[job])}" in document


def test_the_documented_table_of_metrics_is_that_of_the_code() -> None:
    # To bring the document up to date, run .venv/bin/python -m tests.docs.write_metrics
    assert read_document("docs/metrics.md").endswith(f"\n\n{render_metrics()}")


def test_every_job_has_a_table_of_settings() -> None:
    # The commands of contract.py take arguments instead of settings.
    jobs = {path.stem for path in (ROOT / "jobs").glob("*.py")} - {"contract"}
    assert jobs == JOB_SETTINGS.keys()


def test_the_documented_settings_of_the_sink_are_those_of_the_code() -> None:
    from lib.exactly_once.sink import ExactlyOnceSettings

    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| .+ \|$", read_document("docs/exactly_once_sink.md"), re.MULTILINE
    )
    found = dict(rows[-len(fields(ExactlyOnceSettings)) :])
    required = ExactlyOnceSettings(
        bootstrap_servers="", query_name="", source_topic="", checkpoint=""
    )
    expected = {}
    for field in fields(ExactlyOnceSettings):
        has_default = field.default is not MISSING or field.default_factory is not MISSING
        default = getattr(required, field.name)
        text = default.__name__ if callable(default) else json.dumps(default)
        text = {"null": "None", "false": "False", "Infinity": "inf"}.get(text, text)
        expected[field.name] = f"`{text}`" if has_default else "required"

    assert found == expected


def test_every_logger_that_is_quieted_exists() -> None:
    """Spark renames its classes, and a name that no logger has quiets nothing."""
    text = (ROOT / "conf" / "log4j2.properties").read_text()
    names = re.findall(r"^logger\.\w+\.name = (\S+)$", text, re.MULTILINE)
    folders = (Path(pyspark.__file__).parent / "jars", ROOT / "build" / "jars" / "connector")
    classes: set[str] = set()
    for jar in (path for folder in folders for path in folder.glob("*.jar")):
        with zipfile.ZipFile(jar) as archive:
            classes.update(archive.namelist())

    assert len(names) > 5
    packages = {name.rpartition("/")[0] for name in classes}
    paths = [name.replace(".", "/") for name in names]
    assert [it for it in paths if f"{it}.class" not in classes and it not in packages] == []
